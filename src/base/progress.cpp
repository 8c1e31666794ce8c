#include <algorithm>
#include <utility>

#include "base/log_lines.hpp"
#include "qtool/base.hpp"

namespace qtool {
namespace {

// Faster redraws are invisible; shorter stages need no lines in a log.
constexpr double kRedrawSeconds = 0.1;
constexpr double kLineSeconds = 1;
constexpr double kUnknownTotalLineSeconds = 10;

std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (seconds < 10) return fixed(seconds, 1) + " s";
  if (whole < 60) return cat(whole, " s");
  if (whole < 3600) return cat(whole / 60, " min ", whole % 60, " s");
  return cat(whole / 3600, " h ", whole % 3600 / 60, " min");
}

}  // namespace

struct Progress::State {
  std::string what, unit;
  int64_t total = 0, done = 0, tenths = 0;
  double started = now_seconds(), drawn = now_seconds();
  bool wanted = progress_wanted(), terminal = stderr_is_terminal();

  std::string count_text() const {
    return total > 0 ? cat(done, "/", total, " ", unit) : cat(done, " ", unit);
  }

  std::string rate_text(double now) const {
    const double rate = static_cast<double>(done) / std::max(now - started, 1e-9);
    return cat(fixed(rate, rate < 10 ? 2 : 0), " ", unit, "/s");
  }

  std::string line(double now) const {
    std::string text = what + ": ";
    if (total > 0) text += cat(std::min<int64_t>(100, 100 * done / total), " % (");
    text += cat(count_text(), total > 0 ? ")" : "", ", ", rate_text(now));
    if (total > done && done > 0) {
      const double left = static_cast<double>(total - done) / static_cast<double>(done);
      text += cat(", ", duration_text(left * (now - started)), " left");
    }
    return text + ", peak memory " + human_bytes(static_cast<double>(peak_rss_bytes()));
  }

  // With the terminal's mutex held. Returns the line to log, "" for none.
  std::string step(int64_t by) {
    done += by;
    const double now = now_seconds();
    if (terminal) {
      if (now - drawn < kRedrawSeconds) return "";
      drawn = now;
      show_progress_line(line(now));
      return "";
    }
    const int64_t reached = total > 0 ? 10 * done / total : tenths + 1;
    const double pause = total > 0 ? kLineSeconds : kUnknownTotalLineSeconds;
    if (reached <= tenths || now - drawn < pause || (total > 0 && done >= total)) return "";
    tenths = reached;
    drawn = now;
    return line(now);
  }

  std::string summary() const {
    const double now = now_seconds();
    return cat(what, ": ", count_text(), " in ", duration_text(now - started), " (", rate_text(now),
               ")");
  }
};

Progress::Progress(std::string what, int64_t total, std::string unit) : state_(new State) {
  state_->what = printable(what);
  state_->unit = printable(unit);
  state_->total = std::max<int64_t>(0, total);
}

Progress::~Progress() {
  if (state_->wanted) {
    {
      const std::lock_guard lock(terminal_mutex());
      show_progress_line("");
    }
    if (now_seconds() - state_->started >= kLineSeconds) log(LogLevel::kInfo, state_->summary());
  }
  delete state_;
}

void Progress::advance(int64_t by) {
  std::string text;
  {
    const std::lock_guard lock(terminal_mutex());
    if (!state_->wanted) {
      state_->done += by;
      return;
    }
    text = state_->step(by);
  }
  if (!text.empty()) log(LogLevel::kInfo, text);
}

}  // namespace qtool
