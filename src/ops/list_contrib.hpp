// Records of the com.microsoft and qtool domains; included by list.cpp twice, so without an include guard.
QTOOL_OP(kQLinearAdd)
QTOOL_OP(kQLinearConcat)
QTOOL_OP(kQLinearAveragePool)
QTOOL_OP(kQLinearGlobalAveragePool)
QTOOL_OP(kQGemm)
QTOOL_OP(kLookup)
