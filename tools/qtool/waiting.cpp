#include "qtool/waiting.hpp"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <qtool/exec.hpp>
#include <string>
#include <vector>

namespace cli {
namespace {

// Spins of about a quarter of a millisecond, which hide what is between two layers.
constexpr const char *kSpins = "GOMP_SPINCOUNT", *kShort = "10000", *kNone = "0";
// Set while it is open whether spinning pays.
constexpr const char* kTrial = "QTOOL_WAITS_ON_TRIAL";

std::vector<std::string> own_arguments() {
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(in, argument, '\0');) arguments.push_back(argument);
  return arguments;
}

// Returns only where it fails; then threads wait as the library likes.
void start_again() {
  std::vector<std::string> arguments = own_arguments();
  if (arguments.empty()) return;
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  execv("/proc/self/exe", argv.data());
}

}  // namespace

void start_with_short_waits(int threads) {
  if (threads < 2) return;
  if (std::getenv(kTrial)) {
    unsetenv(kTrial);
    if (qtool::threads_have_cores(threads)) return;
    setenv(kSpins, kNone, 1);
    start_again();
  } else if (!std::getenv(kSpins) && !std::getenv("OMP_WAIT_POLICY")) {
    setenv(kSpins, kShort, 1);
    setenv(kTrial, "1", 1);
    start_again();
  }
}

}  // namespace cli
