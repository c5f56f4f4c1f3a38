// -K: options from a file in curl's own format, put into the command line where -K stands.
//
//   # comment          header = "X-A: 1"          header: "X-A: 1"          --header "X-A: 1"
//   silent
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/result.h"

namespace paycurl {

/// What the command line needs to know of an option that is spelled so ("--header", "-H").
struct OptionShape {
  bool known = false;
  bool takes_value = false;
};
using ShapeOf = std::function<OptionShape(const std::string& name)>;

/// The arguments that the lines of a config file stand for. `name` is for messages. Usage error,
/// with the number of the line, for an option that takes no value and has one, or the reverse.
Result<std::vector<std::string>> read_config_lines(std::string_view text, const std::string& name,
                                                   const ShapeOf& shape_of);

/// `arguments` with every -K replaced by what its file says, files inside files too. Usage error
/// when a file cannot be read, is larger than 1 MiB, or they are nested deeper than 8.
Result<std::vector<std::string>> with_config_files(const std::vector<std::string>& arguments,
                                                   const ShapeOf& shape_of, int depth = 0);

}  // namespace paycurl
