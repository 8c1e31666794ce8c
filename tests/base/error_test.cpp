#include <gtest/gtest.h>

#include "qtool/base.hpp"

namespace qtool {
namespace {

template <typename Fn>
Error caught(const Fn& fn) {
  try {
    fn();
  } catch (const Error& error) {
    return error;
  }
  return {ErrorKind::kInternal, "", "nothing was thrown"};
}

TEST(Error, CarriesKindCodeMessageHintAndContext) {
  Error error = Error(ErrorKind::kModel, "QT-E301", "no such tensor").hint("look again");
  error.context("while loading").context("while running");
  EXPECT_EQ(error.kind(), ErrorKind::kModel);
  EXPECT_EQ(error.code(), "QT-E301");
  EXPECT_STREQ(error.what(), "no such tensor");
  EXPECT_EQ(error.hint_text(), "look again");
  EXPECT_EQ(error.context_lines(), (std::vector<std::string>{"while loading", "while running"}));
}

TEST(Error, KindsAreExitCodes) {
  EXPECT_EQ(static_cast<int>(ErrorKind::kUsage), 2);
  EXPECT_EQ(static_cast<int>(ErrorKind::kGate), 6);
  EXPECT_EQ(static_cast<int>(ErrorKind::kInterrupted), 130);
}

TEST(Error, ShortFormsThrowTheirKind) {
  EXPECT_EQ(caught([] { throw_model("QT-E330", "m"); }).kind(), ErrorKind::kModel);
  EXPECT_EQ(caught([] { throw_data("QT-E401", "m"); }).kind(), ErrorKind::kData);
  EXPECT_EQ(caught([] { throw_usage("QT-E101", "m"); }).kind(), ErrorKind::kUsage);
  EXPECT_EQ(caught([] { throw_internal("m"); }).kind(), ErrorKind::kInternal);
  EXPECT_EQ(caught([] { throw_unsupported("m"); }).code(), kUnsupportedCode);
  EXPECT_EQ(caught([] { throw_unsupported("m"); }).kind(), ErrorKind::kModel);
}

TEST(Error, CatJoinsAnything) { EXPECT_EQ(cat("a", 1, std::string("b"), 2.5, 'c'), "a1b2.5c"); }

}  // namespace
}  // namespace qtool
