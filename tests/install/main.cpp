#include <iostream>
#include <qtool/base.hpp>
#include <qtool/onnx.hpp>

int main(int, char** argv) {
  const qtool::Model model = qtool::load_model(argv[1]);
  std::cout << "qtool " << qtool::kVersion << ": " << model.graph.nodes.size() << " nodes\n";
  return model.graph.nodes.empty() ? 1 : 0;
}
