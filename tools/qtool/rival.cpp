#include "qtool/rival.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <sstream>

extern char** environ;

namespace cli {
namespace {

namespace fs = std::filesystem;

// Prints seconds of every run, one a line, the version of onnxruntime first.
constexpr const char* kScript = R"(
import sys, time, numpy, onnxruntime
model, data, threads, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.log_severity_level = threads, 3
session = onnxruntime.InferenceSession(model, options, providers=['CPUExecutionProvider'])
feed = dict(numpy.load(data))
session.run(None, feed)
session.run(None, feed)
print(onnxruntime.__version__)
end, runs = time.perf_counter() + seconds, 0
while runs < 3 or time.perf_counter() < end:
    begin = time.perf_counter()
    session.run(None, feed)
    print(repr(time.perf_counter() - begin))
    runs += 1
)";

// A folder that goes with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "qtool-bench-XXXXXX").string();
    if (!mkdtemp(name.data()))
      throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E148", "no temporary folder can be made");
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  fs::path operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

// Runs a program with its output in files; its exit code, 127 when there is no such program.
int run_program(const std::vector<std::string>& arguments, const fs::path& out,
                const fs::path& err) {
  std::vector<char*> argv;
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), kFlags, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), kFlags, 0600);
  pid_t pid = 0;
  const int failed = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (failed || waitpid(pid, &status, 0) < 0) return 127;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

std::string last_line(const std::string& text) {
  std::istringstream in(text);
  std::string last;
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) last = line;
  return last;
}

}  // namespace

qtool::BenchResult::Rival measure_onnxruntime(const std::string& model, const qtool::Feed& feed,
                                              int threads, double seconds) {
  const char* chosen = std::getenv("QTOOL_PYTHON");
  const std::string python = chosen && *chosen ? chosen : "python3";
  const TemporaryFolder folder;
  qtool::write_npz(folder / "feed.npz", feed);
  const int code = run_program(
      {python, "-c", kScript, fs::absolute(model).string(), (folder / "feed.npz").string(),
       std::to_string(threads), std::to_string(seconds)},
      folder / "out", folder / "err");
  if (code != 0) {
    const std::string why =
        code == 127 ? "there is no such program"
                    : last_line(qtool::read_file(folder / "err", qtool::ErrorKind::kUsage));
    throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E148",
                       qtool::cat("onnxruntime cannot be measured with '", qtool::printable(python),
                                  "': ", qtool::printable(why)))
        .hint("set QTOOL_PYTHON to a Python with onnxruntime and numpy, or leave --compare out");
  }
  std::istringstream out(qtool::read_file(folder / "out", qtool::ErrorKind::kUsage));
  qtool::BenchResult::Rival rival;
  out >> rival.name;
  rival.name = "onnxruntime " + rival.name;
  std::vector<double> times;
  double total = 0;
  for (double t = 0; out >> t; total += t) times.push_back(1e3 * t);
  if (times.empty() || !(total > 0))
    throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E148", "onnxruntime printed no times");
  const auto samples =
      feed.empty() || feed.begin()->second.rank() == 0 ? 1 : feed.begin()->second.dim(0);
  rival.samples_per_second =
      static_cast<double>(samples) * static_cast<double>(times.size()) / total;
  rival.latency = qtool::latency_of(std::move(times));
  return rival;
}

}  // namespace cli
