"""TensorFlow's type numbers, their names, and the field that carries their values."""

from fovea.serving.protocol.wire_pb2 import DataType

_INT_VAL = (
    "INT32 UINT8 INT16 INT8 QINT8 QUINT8 QINT32 QINT16 QUINT16 UINT16 "
    "INT4 UINT4 INT2 UINT2"
)
_FIELDS = {
    "float_val": "FLOAT",
    "double_val": "DOUBLE",
    "int_val": _INT_VAL,
    "string_val": "STRING",
    "scomplex_val": "COMPLEX64",
    "int64_val": "INT64",
    "bool_val": "BOOL",
    "dcomplex_val": "COMPLEX128",
    "half_val": "HALF BFLOAT16",
    "uint32_val": "UINT32",
    "uint64_val": "UINT64",
    "float8_val": (
        "FLOAT8_E5M2 FLOAT8_E4M3FN FLOAT8_E4M3FNUZ FLOAT8_E4M3B11FNUZ FLOAT8_E5M2FNUZ"
    ),
}

# DataType number -> the TensorProto field that carries its values one by one
VALUE_FIELDS: dict[int, str] = {
    DataType.Value(f"DT_{name}"): field
    for field, names in _FIELDS.items()
    for name in names.split()
}

_NUMPY_SPELLING = {"float": "float32", "double": "float64", "half": "float16"}


def type_name(number: int) -> str:
    """Return the name of a type as TensorFlow's Python API spells it.

    Args:
        number: A value of the enum DataType.

    Returns:
        "uint8", "float32", "string", "bfloat16", ...; "unknown(n)" for a number n
        that a later TensorFlow may have added.
    """
    if number not in DataType.values():
        return f"unknown({number})"
    name = DataType.Name(number).removeprefix("DT_").lower()
    return _NUMPY_SPELLING.get(name, name)


NUMBERS: dict[str, int] = {type_name(number): number for number in DataType.values()}
