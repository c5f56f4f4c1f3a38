// How options are declared: curl's grammar on top of CLI11. Only command files include this.
//
// Of a repeated single option the last one wins, --no-NAME undoes a flag, a value may be empty or
// look like an option.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace paycurl {

/// A flag with its opposite: "-L,--location" also makes --no-location.
inline CLI::Option* add_flag(CLI::App& app, const std::string& names, bool& value,
                             const std::string& text) {
  const std::size_t name = names.find("--");
  const std::string opposite =
      name == std::string::npos
          ? ""
          : ",!--no-" + names.substr(name + 2, names.find(',', name) - name - 2);
  return app.add_flag(names + opposite, value, text)->take_last();
}

/// An option with one value; `value_name` stands for it in the help.
template <class Value>
CLI::Option* add_value(CLI::App& app, const std::string& names, Value& value,
                       const std::string& value_name, const std::string& text) {
  return app.add_option(names, value, text)->take_last()->type_name(value_name);
}

/// An option that may be given many times, one value each.
inline CLI::Option* add_list(CLI::App& app, const std::string& names,
                             std::vector<std::string>& values, const std::string& value_name,
                             const std::string& text) {
  return app.add_option(names, values, text)
      ->expected(1, 1 << 29)
      ->allow_extra_args(false)
      ->type_name(value_name);
}

}  // namespace paycurl
