// Records of operators that compute; included by list.cpp twice, so without an include guard. One
// line an operator.
QTOOL_OP(kExp)
QTOOL_OP(kSigmoid)
