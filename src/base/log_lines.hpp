// Between the log and the progress line, which share a terminal.
#pragma once

#include <mutex>
#include <string_view>

namespace qtool {

// Held while anything is written to stderr.
std::mutex& terminal_mutex();
bool stderr_is_terminal();
// Progress is shown unless only warnings and errors are wanted.
bool progress_wanted();
// With the terminal's mutex held: shows `line` in place of the last one; "" removes it.
void show_progress_line(std::string_view line);

}  // namespace qtool
