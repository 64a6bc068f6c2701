LATENCY = "latency"
