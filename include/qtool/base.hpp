// Base layer: what every other layer stands on. Errors, string building, files, threads, log.
//
//   throw qtool::Error(ErrorKind::kModel, "QT-E301", cat("tensor '", name, "' has ", n, " bytes"))
//       .hint("re-export the model");
//   parallel_for(threads, chunks, [&](int64_t chunk, int worker) { ... });
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace qtool {

inline constexpr std::string_view kVersion = "0.1.0";

// What failed; the value is the process's exit code.
enum class ErrorKind {
  kInternal = 1,    // a bug of qtool, I/O, memory
  kUsage = 2,       // options or configuration
  kModel = 3,       // the model cannot be read or is unsupported
  kData = 4,        // the data cannot be read or does not fit the model
  kInfeasible = 5,  // no plan meets the budget
  kGate = 6,        // a gate or a verification missed
  kInterrupted = 130,
};

// The one exception type. `message` says what, where and why; `hint` what to do; every layer that
// rethrows may add one context line ("while loading node 'conv1' (Conv)").
class Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string code, std::string message);
  Error& hint(std::string text) &;
  Error&& hint(std::string text) &&;
  Error& context(std::string line);
  const char* what() const noexcept override { return message_.c_str(); }
  ErrorKind kind() const { return kind_; }
  const std::string& code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::string& hint_text() const { return hint_; }
  const std::vector<std::string>& context_lines() const { return context_; }

 private:
  ErrorKind kind_;
  std::string code_, message_, hint_;
  std::vector<std::string> context_;
};

// "a" + 1 + "b" without fuss.
template <typename... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return std::move(out).str();
}

// Short forms for the errors that every layer throws.
[[noreturn]] void throw_model(std::string code, std::string message);
[[noreturn]] void throw_data(std::string code, std::string message);
[[noreturn]] void throw_usage(std::string code, std::string message);
// An operator, attribute or type that qtool does not run (QT-E320): `qtool verify` counts these apart.
[[noreturn]] void throw_unsupported(std::string message);
// A broken invariant of qtool itself.
[[noreturn]] void throw_internal(std::string message);
inline constexpr std::string_view kUnsupportedCode = "QT-E320";

// Text that is safe on a terminal and in a log: control bytes and escapes become \xNN, cut at `limit`.
std::string printable(std::string_view text, size_t limit = 200);
// The candidate nearest to `word` by edit distance, or "" when none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);
// "1.2 MB", "12.3 kB".
std::string human_bytes(double bytes);
std::vector<std::string> split(std::string_view text, char separator);

// --- files -------------------------------------------------------------------------------------
std::string read_file(const std::filesystem::path& path, ErrorKind on_error);
// Writes to a temporary name in the same folder, syncs, renames: readers see the old file or the new.
void write_file_atomic(const std::filesystem::path& path, std::string_view bytes);
// 64-bit FNV-1a, printed as 16 hex digits: cheap fingerprints of parts. Not cryptographic.
uint64_t fnv1a(std::string_view bytes, uint64_t seed = 0xcbf29ce484222325ull);
std::string hex64(uint64_t value);
// SHA-256 as 64 hex digits: the fingerprint of a model file.
std::string sha256_hex(std::string_view bytes);
// Peak resident memory of this process so far.
int64_t peak_rss_bytes();
double now_seconds();

// --- threads -----------------------------------------------------------------------------------
// Cores that this process may use (affinity and cgroup quota respected).
int default_threads();
// Calls fn(index, worker) for index in [0, count) on up to `threads` threads; worker in [0, threads).
// Rethrows the exception of the lowest failing index. Checks for interruption between items.
void parallel_for(int threads, int64_t count, const std::function<void(int64_t, int)>& fn);
// The same for results that must be merged in order: fn returns what is then called strictly in order of
// the indices, one call at a time. At most 2 · threads results wait for their turn.
void parallel_ordered(int threads, int64_t count,
                      const std::function<std::function<void()>(int64_t, int)>& fn);
// Set by SIGINT/SIGTERM; long loops call check_interrupted(), which throws Error{kInterrupted}.
void request_interrupt() noexcept;
void check_interrupted();

// What a piece of work may take: time, which check_interrupted() looks at, and memory of tensors that are
// alive at once. It holds for the thread of a Scope and for the threads that parallel_for starts there.
class ResourceLimit {
 public:
  ResourceLimit(double seconds, int64_t bytes);  // 0: no limit
  void check_time() const;                       // throws Error{kModel, QT-E341}
  void take(int64_t bytes);  // throws Error{kModel, QT-E342} and has taken nothing then
  void give(int64_t bytes) noexcept;
  static const std::shared_ptr<ResourceLimit>& current();  // of this thread, or nullptr

  class Scope {
   public:
    explicit Scope(std::shared_ptr<ResourceLimit> limit);
    ~Scope();
    Scope(const Scope&) = delete;

   private:
    std::shared_ptr<ResourceLimit> before_;
  };

 private:
  double seconds_, end_;
  int64_t bytes_;
  std::atomic<int64_t> used_{0};
};

// --- log (stderr; stdout belongs to results) -----------------------------------------------------
enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };
struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  std::string file = {};  // also written here, when not empty
  bool colour = false;
};
void set_log(const LogOptions& options);
void log(LogLevel level, std::string_view text);

// Progress of a long stage: on a terminal one line rewritten in place (rate, ETA, peak memory),
// elsewhere one log line per 10 % (at most one a second), and a summary of stages that took longer.
// Silent when the log shows warnings only. Thread-safe.
class Progress {
 public:
  Progress(std::string what, int64_t total, std::string unit);  // total 0: unknown
  ~Progress();
  Progress(const Progress&) = delete;
  void advance(int64_t by);

 private:
  struct State;
  State* state_;
};

// A text table for terminals: first row is the header; numbers are right-aligned.
std::string format_table(const std::vector<std::vector<std::string>>& rows);
// "%.*f" without locale.
std::string fixed(double value, int digits);

// --- random ------------------------------------------------------------------------------------
// SplitMix64: small, seedable, the same on every machine.
class Rng {
 public:
  explicit Rng(uint64_t seed) : state_(seed) {}
  uint64_t next();
  double uniform();                // [0, 1)
  double normal();                 // mean 0, variance 1
  uint64_t below(uint64_t limit);  // [0, limit)

 private:
  uint64_t state_;
};

}  // namespace qtool
