#include "qtool/waiting.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace cli {
namespace {

// Threads on the machine that run or want to, this one left out; proc(5), /proc/loadavg, fourth field.
int others_running() {
  std::ifstream in("/proc/loadavg");
  double load = 0;
  int running = 1;
  for (int i = 0; i < 3; ++i) in >> load;
  in >> running;
  return running - 1;
}

// Whether `threads` threads would have cores to themselves most of the time, as far as a few looks tell: what
// keeps a core busy is there at every look, a parent that has just started this program at the first ones.
bool machine_is_free(int threads) {
  constexpr int kLooks = 20;
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  int crowded = 0;
  for (int i = 0; i < kLooks; ++i) {
    crowded += others_running() + threads > cores ? 1 : 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return crowded < kLooks / 2;
}

std::vector<std::string> own_arguments() {
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(in, argument, '\0');) arguments.push_back(argument);
  return arguments;
}

}  // namespace

void start_with_short_waits(int threads) {
  if (threads < 2 || std::getenv("GOMP_SPINCOUNT") || std::getenv("OMP_WAIT_POLICY")) return;
  std::vector<std::string> arguments = own_arguments();
  if (arguments.empty()) return;
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  setenv("GOMP_SPINCOUNT", machine_is_free(threads) ? "10000" : "0", 1);
  execv("/proc/self/exe", argv.data());  // returns only where it fails; then threads spin
}

}  // namespace cli
