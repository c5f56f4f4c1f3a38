// Questions to the person at the terminal. They go to /dev/tty, so that stdin and stdout stay
// pipes.
#pragma once

#include <string>
#include <string_view>

#include "src/base/result.h"
#include "src/base/secret.h"
#include "wallet/settings.h"

namespace paycurl {

/// Whether there is a terminal to ask at.
bool can_ask(const Settings& settings);

/// Asks a yes-or-no question; anything but yes is no. Kind::usage when nobody can be asked.
Result<bool> ask_yes(const Settings& settings, std::string_view question);

/// Asks for a line, echoed. Kind::usage when nobody can be asked.
Result<std::string> ask_line(const Settings& settings, std::string_view question);

/// Asks for a password without echo; `twice` asks again and compares.
Result<Secret> ask_password(const Settings& settings, std::string_view question, bool twice);

}  // namespace paycurl
