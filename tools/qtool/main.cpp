// The program: finds the command, parses its flags, runs it, and turns whatever goes wrong into a
// message and an exit code.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>
#include <qtool/base.hpp>

#include "qtool/command.hpp"
#include "qtool/config.hpp"

namespace cli {
namespace {

using qtool::cat;
using qtool::Error;
using qtool::ErrorKind;
using qtool::printable;

const std::vector<const Command*>& commands() {
  static const std::vector<const Command*> kCommands = {
      &kInspect, &kVerify, &kCalibrate, &kSearch,  &kQuantize, &kEval, &kReport,
      &kAuto,    &kBench,  &kCompare,   &kProfile, &kNarrow,   &kList};
  return kCommands;
}

constexpr const char* kExamples =
    "Examples:\n"
    "  qtool auto net.onnx images/ --budget 4.5bits -o net.q.onnx    all stages at once\n"
    "  qtool calibrate net.onnx images/                              or one after the other:\n"
    "  qtool search --budget 4.5bits\n"
    "  qtool quantize -o net.q.onnx\n"
    "  qtool eval net.q.onnx test.npz --max-drop 1%\n"
    "`qtool COMMAND --help` shows the flags of a command. Exit codes: 0 done, 1 failure of qtool, "
    "2 usage, 3 model, 4 data,\n"
    "5 no plan meets the budget, 6 a gate or a verification missed, 130 interrupted.";

// The first signal asks long loops to stop; the second one does not wait for them.
extern "C" void on_signal(int) {
  static volatile std::sig_atomic_t seen = 0;
  if (seen) ::_exit(static_cast<int>(ErrorKind::kInterrupted));
  seen = 1;
  qtool::request_interrupt();
}

void handle_signals() {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a write error like any other
}

[[noreturn]] void unknown_command(const std::string& word) {
  std::vector<std::string> names;
  for (const Command* command : commands()) names.emplace_back(command->name);
  const std::string near = qtool::nearest(word, names);
  throw Error(ErrorKind::kUsage, "QT-E100", cat("there is no command '", printable(word), "'"))
      .hint(near.empty() ? "`qtool --help` lists the commands"
                         : cat("did you mean `qtool ", near, "`?"));
}

const Command& command_named(const std::string& word) {
  for (const Command* command : commands()) {
    if (command->name == word) return *command;
  }
  unknown_command(word);
}

std::vector<std::string> flags_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

[[noreturn]] void bad_arguments(const CLI::App& app, const std::vector<std::string>& arguments,
                                const CLI::ParseError& error) {
  const std::string help = cat("`qtool ", app.get_name(), " --help` lists the flags");
  if (error.get_exit_code() != static_cast<int>(CLI::ExitCodes::ExtrasError))
    throw Error(ErrorKind::kUsage, "QT-E101", printable(error.what(), 500)).hint(help);
  const std::vector<std::string> known = flags_of(app);
  for (const std::string& argument : arguments) {
    const std::string flag = argument.substr(0, argument.find('='));
    if (!flag.starts_with("--") || std::find(known.begin(), known.end(), flag) != known.end())
      continue;
    const std::string near = qtool::nearest(flag, known);
    throw Error(ErrorKind::kUsage, "QT-E101",
                cat("`qtool ", app.get_name(), "` has no flag '", printable(flag), "'"))
        .hint(near.empty() ? help : cat("did you mean ", near, "?"));
  }
  throw Error(ErrorKind::kUsage, "QT-E101", printable(error.what(), 500)).hint(help);
}

// Keys of a file may belong to other commands, so that all can share one file.
void check_config_keys(const Config& config) {
  std::vector<std::string> known = {"schema"};
  for (const Command* command : commands()) {
    CLI::App app;
    GlobalOptions global;
    global.bind(app);
    const Run run = command->setup(app, global);
    for (const std::string& flag : flags_of(app)) known.push_back(flag.substr(2));
  }
  for (const auto& [key, values] : config) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::string near = qtool::nearest(key, known);
    throw Error(ErrorKind::kUsage, "QT-E105",
                cat("unknown configuration key '", printable(key), "'"))
        .hint(near.empty() ? "keys are the flags without dashes"
                           : cat("did you mean '", near, "'?"));
  }
}

// The file that --config names, before anything is parsed.
Config config_of(const std::vector<std::string>& arguments) {
  std::string path;
  if (const char* from_environment = std::getenv("QTOOL_CONFIG")) path = from_environment;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].starts_with("--config="))
      path = arguments[i].substr(std::strlen("--config="));
    else if (arguments[i] == "--config" && i + 1 < arguments.size())
      path = arguments[i + 1];
  }
  if (path.empty()) return {};
  Config config = read_config(path);
  check_config_keys(config);
  return config;
}

std::string overview() {
  std::vector<std::vector<std::string>> rows = {{"command", "what it does"}};
  for (const Command* command : commands())
    rows.push_back({std::string(command->name), std::string(command->summary)});
  return cat("qtool ", qtool::kVersion,
             ": quantizes ONNX models after training\n\nUsage: qtool COMMAND ...\n\n",
             qtool::format_table(rows), "\n", kExamples, "\n");
}

Outcome run_command(const Command& command, std::vector<std::string> arguments) {
  CLI::App app{std::string(command.summary), cat("qtool ", command.name)};
  app.option_defaults()->always_capture_default();
  GlobalOptions global;
  const Run run = command.setup(app, global);
  global.bind(app);
  app.footer(std::string(command.examples));
  app.name(std::string(command.name));
  const std::vector<std::string> further = further_arguments(app, arguments, config_of(arguments));
  arguments.insert(arguments.begin(), further.begin(), further.end());
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(),
                                       arguments.rend()));  // CLI11 takes them from the back
  } catch (const CLI::CallForHelp&) {
    app.name(cat("qtool ", command.name));
    return {app.help()};
  } catch (const CLI::ParseError& error) {
    if (global.print_config) return {config_json(resolved(app))};  // positionals may be missing
    bad_arguments(app, arguments, error);
  }
  if (global.print_config) return {config_json(resolved(app))};
  global.apply();
  return run();
}

// The first word that is neither a flag nor the value of one that may stand before the command.
std::vector<std::string>::iterator find_command(std::vector<std::string>& arguments) {
  static const std::vector<std::string> kWithValue = {"--threads",  "--seed",       "--color",
                                                      "--log-file", "--max-memory", "--config"};
  for (auto at = arguments.begin(); at != arguments.end(); ++at) {
    if (!at->starts_with('-')) return at;
    if (std::find(kWithValue.begin(), kWithValue.end(), *at) != kWithValue.end() &&
        at + 1 != arguments.end())
      ++at;
  }
  return arguments.end();
}

// Options before the command are its options, too: `qtool --json eval` is `qtool eval --json`.
Outcome run_program(std::vector<std::string> arguments) {
  const bool bare = arguments.empty();
  const auto first = find_command(arguments);
  if (first == arguments.end()) {
    for (const std::string& argument : arguments) {
      if (argument == "--version" || argument == "-V")
        return {cat("qtool ", qtool::kVersion, "\n")};
      if (argument == "--help" || argument == "-h") return {overview()};
    }
    if (bare)
      throw Error(ErrorKind::kUsage, "QT-E100", "no command given")
          .hint("`qtool --help` lists the commands");
    throw Error(ErrorKind::kUsage, "QT-E100",
                cat("no command in '", printable(arguments.front()), "'"))
        .hint("`qtool --help` lists the commands");
  }
  if (*first == "help") return {overview()};
  const Command& command = command_named(*first);
  arguments.erase(first);
  return run_command(command, std::move(arguments));
}

// Returns false when stdout does not take it.
bool print(const std::string& text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
         std::fflush(stdout) == 0;
}

std::string shell_word(const std::string& word) {
  const bool plain =
      !word.empty() &&
      word.find_first_not_of(
          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./,%:@+") ==
          std::string::npos;
  return plain ? word : cat("'", printable(word, 1000), "'");
}

int fail(const Error& error, const std::vector<std::string>& arguments) {
  std::string text = cat(error.code(), ": ", error.message());
  for (const std::string& line : error.context_lines()) text += "\n  " + line;
  if (!error.hint_text().empty()) text += "\n  hint: " + error.hint_text();
  if (error.kind() == ErrorKind::kInterrupted) {
    text += "\n  finished files are kept; to go on:  qtool";
    for (const std::string& word : arguments) text += " " + shell_word(word);
  }
  qtool::log(qtool::LogLevel::kError, text);
  if (std::find(arguments.begin(), arguments.end(), "--json") != arguments.end())
    (void)print(qtool::error_json(error));
  return static_cast<int>(error.kind());
}

int run_guarded(const std::vector<std::string>& arguments) {
  try {
    const Outcome outcome = run_program(arguments);
    if (!print(outcome.result))
      throw Error(ErrorKind::kInternal, "QT-E902",
                  cat("cannot write the result to stdout: ", std::strerror(errno)));
    if (!outcome.message.empty()) qtool::log(qtool::LogLevel::kError, outcome.message);
    return outcome.exit_code;
  } catch (const Error& error) {
    return fail(error, arguments);
  } catch (const std::bad_alloc&) {
    return fail(Error(ErrorKind::kInternal, "QT-E903", "out of memory")
                    .hint("lower --batch or --threads, or free memory"),
                arguments);
  } catch (const std::exception& error) {
    return fail(
        Error(ErrorKind::kInternal, "QT-E900", cat("unexpected: ", printable(error.what(), 500)))
            .hint("this is a bug of qtool"),
        arguments);
  } catch (...) {
    return fail(
        Error(ErrorKind::kInternal, "QT-E900", "unexpected failure").hint("this is a bug of qtool"),
        arguments);
  }
}

}  // namespace
}  // namespace cli

int main(int argc, char** argv) {
  cli::handle_signals();
  return cli::run_guarded({argv + 1, argv + argc});
}
