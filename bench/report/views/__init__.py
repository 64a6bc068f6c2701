"""Tables, charts and prose from the findings of a setting."""
