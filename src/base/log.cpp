#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "base/log_lines.hpp"
#include "base/utf8.hpp"
#include "qtool/base.hpp"

namespace qtool {
namespace {

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      break;
  }
  return spdlog::level::off;
}

std::unique_ptr<spdlog::logger> make_logger(const LogOptions& options) {
  const auto mode = options.colour ? spdlog::color_mode::always : spdlog::color_mode::never;
  auto terminal = std::make_shared<spdlog::sinks::ansicolor_stderr_sink_st>(mode);
  terminal->set_pattern("%^%l%$: %v");
  std::vector<spdlog::sink_ptr> sinks = {std::move(terminal)};
  if (!options.file.empty()) {
    auto file = std::make_shared<spdlog::sinks::basic_file_sink_st>(options.file, true);
    file->set_pattern("%Y-%m-%d %H:%M:%S.%e %l: %v");
    sinks.push_back(std::move(file));
  }
  auto logger = std::make_unique<spdlog::logger>("qtool", sinks.begin(), sinks.end());
  logger->set_level(spdlog_level(options.level));
  logger->flush_on(spdlog::level::debug);
  // A log that cannot be written (disk full, closed stderr) never stops the work.
  logger->set_error_handler([](const std::string&) {});
  return logger;
}

// The log of the process: a state by nature, kept in one place.
struct Log {
  std::mutex mutex;
  LogLevel level = LogLevel::kInfo;
  std::unique_ptr<spdlog::logger> logger = make_logger({});
  bool line_shown = false;
};

Log& the_log() {
  static auto* const log = new Log;  // never destroyed: used until the very end of the process
  return *log;
}

}  // namespace

std::mutex& terminal_mutex() { return the_log().mutex; }

bool stderr_is_terminal() { return ::isatty(STDERR_FILENO) == 1; }

bool progress_wanted() {
  const std::lock_guard lock(terminal_mutex());
  return the_log().level < LogLevel::kWarning;
}

void show_progress_line(std::string_view line) {
  bool& shown = the_log().line_shown;
  if (line.empty() && !shown) return;
  std::fprintf(stderr, "\r\033[K%.*s", static_cast<int>(line.size()), line.data());
  std::fflush(stderr);
  shown = !line.empty();
}

void set_log(const LogOptions& options) {
  const std::lock_guard lock(terminal_mutex());
  try {
    the_log().logger = make_logger(options);
    the_log().level = options.level;
  } catch (const spdlog::spdlog_ex& error) {
    throw Error(ErrorKind::kUsage, "QT-E110",
                cat("cannot write the log file '", printable(options.file), "': ", error.what()));
  }
}

void log(LogLevel level, std::string_view text) {
  if (level == LogLevel::kOff) return;
  const std::lock_guard lock(terminal_mutex());
  if (level < the_log().level) return;
  show_progress_line("");
  the_log().logger->log(spdlog_level(level), printable_lines(text));
}

}  // namespace qtool
