"""What each ATen operation does: to channels, to curvature, to the bill.

base        a call, and what the table says of it
smoothness  which are not smooth, and where
pointwise   each entry alone
layers      with a weight, and products of tensors
dimensions  along and across dimensions
table       the one table: a new operation is one entry
parts       what an operation multiplies that the table does not know
"""

from bench.network.operations.base import Call, Form, Layer, Operation
from bench.network.operations.parts import Products, products
from bench.network.operations.smoothness import Picks, kinks_of
from bench.network.operations.table import UNKNOWN, entry

__all__ = ["UNKNOWN", "Call", "Form", "Layer", "Operation", "Picks", "Products", "entry", "kinks_of", "products"]
