// Records of operators that move data, make constants, or work on text and sequences; included by
// list.cpp twice, so without an include guard. One line an operator.
