#include <gtest/gtest.h>
#include <unistd.h>

#include "qtool/base.hpp"

namespace qtool {
namespace {

namespace fs = std::filesystem;

// What `fn` writes to stderr under these options.
std::string logged(const LogOptions& options, const std::function<void()>& fn) {
  testing::internal::CaptureStderr();
  set_log(options);
  fn();
  set_log({});
  return testing::internal::GetCapturedStderr();
}

void log_all() {
  log(LogLevel::kDebug, "d");
  log(LogLevel::kInfo, "i");
  log(LogLevel::kWarning, "w");
  log(LogLevel::kError, "e");
}

TEST(Log, ShowsTheLevelAndAbove) {
  EXPECT_EQ(logged({.level = LogLevel::kDebug}, log_all),
            "debug: d\ninfo: i\nwarning: w\nerror: e\n");
  EXPECT_EQ(logged({.level = LogLevel::kWarning}, log_all), "warning: w\nerror: e\n");
  EXPECT_EQ(logged({.level = LogLevel::kOff}, log_all), "");
}

TEST(Log, ColoursOnlyWhenAsked) {
  const auto warn = [] { log(LogLevel::kWarning, "w"); };
  EXPECT_NE(logged({.colour = true}, warn).find('\033'), std::string::npos);
  EXPECT_EQ(logged({}, warn).find('\033'), std::string::npos);
}

TEST(Log, NeutralisesEscapesButKeepsLines) {
  EXPECT_EQ(logged({}, [] { log(LogLevel::kWarning, "a\x1b[2J\nb {} %s"); }),
            "warning: a\\x1b[2J\nb {} %s\n");
}

TEST(Log, AlsoWritesToAFile) {
  const fs::path file = fs::temp_directory_path() / cat("qtool_log_", ::getpid());
  logged({.file = file.string()}, [] { log(LogLevel::kWarning, "kept"); });
  const std::string text = read_file(file, ErrorKind::kData);
  fs::remove(file);
  EXPECT_NE(text.find(" warning: kept\n"), std::string::npos) << text;
}

TEST(Log, UnwritableFileIsAUsageError) {
  try {
    set_log({.file = "/dev/null/x.log"});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  }
}

TEST(Progress, ShortStagesAreSilentOffATerminal) {
  EXPECT_EQ(logged({},
                   [] {
                     Progress progress("calibrate", 100, "images");
                     for (int i = 0; i < 100; ++i) progress.advance(1);
                   }),
            "");
}

TEST(Progress, LongStagesReportTenthsAndASummary) {
  const std::string text = logged({}, [] {
    Progress progress("score\x1b", 100, "groups");
    ::usleep(1010000);
    progress.advance(25);
    progress.advance(1);  // the same tenth, and too soon
    progress.advance(74);
  });
  EXPECT_EQ(text.find("info: score\\x1b: 25 % (25/100 groups), "), 0u) << text;
  EXPECT_NE(text.find("left, peak memory "), std::string::npos) << text;
  EXPECT_NE(text.find("info: score\\x1b: 100/100 groups in 1.0 s ("), std::string::npos) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
}

TEST(Progress, IsSilentWhenOnlyWarningsAreWanted) {
  EXPECT_EQ(logged({.level = LogLevel::kWarning},
                   [] {
                     Progress progress("x", 0, "things");
                     ::usleep(1010000);
                     progress.advance(3);
                   }),
            "");
}

TEST(Progress, MayBeAdvancedFromSeveralThreads) {
  EXPECT_EQ(logged({},
                   [] {
                     Progress progress("x", 1000, "items");
                     parallel_for(4, 1000, [&](int64_t, int) { progress.advance(1); });
                   }),
            "");
}

}  // namespace
}  // namespace qtool
