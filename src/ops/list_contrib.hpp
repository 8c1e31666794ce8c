// Records of the com.microsoft, ai.onnx.ml and qtool domains; included by list.cpp twice, so without an include guard.
QTOOL_OP(kQLinearAdd)
QTOOL_OP(kQLinearConcat)
QTOOL_OP(kQLinearAveragePool)
QTOOL_OP(kQLinearGlobalAveragePool)
QTOOL_OP(kQGemm)
QTOOL_OP(kLookup)
QTOOL_OP(kArrayFeatureExtractor)
QTOOL_OP(kBinarizer)
