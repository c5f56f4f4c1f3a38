// What the config files say of options, as the arguments that it stands for.
#pragma once

#include <string>
#include <vector>

#include "commands/command.h"
#include "wallet/config.h"

namespace paycurl {

/// The arguments that the files' defaults stand for, to be put before those of the command line.
/// Of a command other than request only the options that mean the same there. Kind::usage, with the
/// line, when a key is no option of a request, or its value is of the wrong kind.
Result<std::vector<std::string>> default_arguments(const CommandEntry& entry, const Config& config);

/// `error`, which these defaults caused: with the place of the one that it speaks of.
Error with_place(Error error, const Config& config);

}  // namespace paycurl
