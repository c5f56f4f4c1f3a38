// How options are declared: curl's grammar on top of CLI11. Only command files include this.
//
// Of a repeated single option the last one wins, --no-NAME undoes a flag, a value may be empty or
// look like an option. An option that no argument can mean is not declared at all: CLI11 compares
// every new option with all others, which would be a fifth of the time of a small request.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace paycurl {

class OptionSet {
 public:
  /// Declares on `app` what `arguments` could mean; everything when it is nullptr.
  OptionSet(CLI::App& app, const std::vector<std::string>* arguments)
      : app_(app), arguments_(arguments) {}

  /// The heading in --help under which the next options stand.
  OptionSet& in(const char* group) {
    group_ = group;
    return *this;
  }

  /// A flag; "-L,--location" also makes --no-location.
  OptionSet& flag(const std::string& names, bool& value, const std::string& text) {
    if (!is_wanted(names)) return *this;
    const std::string name = long_name(names);
    const std::string opposite = name.empty() ? "" : ",!--no-" + name.substr(2);
    app_.add_flag(names + opposite, value, text)->take_last()->group(group_);
    return *this;
  }
  /// Counts how often it stands there.
  OptionSet& counter(const std::string& names, int& value, const std::string& text) {
    if (is_wanted(names)) app_.add_flag(names, value, text)->group(group_);
    return *this;
  }
  /// A flag without an opposite that does something.
  OptionSet& action(const std::string& names, std::function<void()> act, const std::string& text) {
    if (is_wanted(names)) app_.add_flag_callback(names, std::move(act), text)->group(group_);
    return *this;
  }
  /// An option with one value; `value_name` stands for it in the help.
  template <class Value>
  OptionSet& value(const std::string& names, Value& value, const std::string& value_name,
                   const std::string& text) {
    if (!is_wanted(names)) return *this;
    app_.add_option(names, value, text)->take_last()->type_name(value_name)->group(group_);
    return *this;
  }
  /// An option that may be given many times, one value each.
  OptionSet& list(const std::string& names, std::vector<std::string>& values,
                  const std::string& value_name, const std::string& text) {
    if (is_wanted(names)) many(app_.add_option(names, values, text), value_name);
    return *this;
  }
  /// The same, when only the order on the command line tells what the values mean; see
  /// CLI::App::parse_order.
  OptionSet& ordered(const std::string& names, const std::string& value_name,
                     const std::string& text) {
    if (is_wanted(names)) many(app_.add_option(names, text), value_name);
    return *this;
  }
  /// An argument that is no option.
  template <class Value>
  OptionSet& positional(const std::string& name, Value& value, const std::string& text) {
    app_.add_option(name, value, text)->group(group_);
    return *this;
  }

  /// Whether the option stood on the command line. After parsing.
  bool given(const std::string& name) const {
    const auto* option = app_.get_option_no_throw(name);
    return option != nullptr && option->count() != 0;
  }

  CLI::App& app() { return app_; }

 private:
  void many(CLI::Option* option, const std::string& value_name) {
    option->expected(1, 1 << 29)->allow_extra_args(false)->type_name(value_name)->group(group_);
  }

  /// "--location" of "-L,--location"; empty when there is none.
  static std::string long_name(const std::string& names) {
    const std::size_t at = names.find("--");
    return at == std::string::npos ? "" : names.substr(at, names.find(',', at) - at);
  }

  bool is_wanted(const std::string& names) const {
    if (arguments_ == nullptr) return true;
    for (std::size_t at = 0; at < names.size();) {
      const std::size_t end = std::min(names.find(',', at), names.size());
      if (is_mentioned(names.substr(at, end - at))) return true;
      at = end + 1;
    }
    return false;
  }

  bool is_mentioned(const std::string& name) const {
    const bool is_long = name.starts_with("--");
    for (const std::string& argument : *arguments_) {
      if (!is_long && argument.starts_with("-") && argument.find(name[1]) != std::string::npos) {
        return true;  // perhaps in a cluster, -sSL
      }
      if (!is_long || !argument.starts_with("--")) continue;
      const std::string stem = argument.substr(0, argument.find('='));
      if (stem == name || stem == "--no-" + name.substr(2)) return true;
    }
    return false;
  }

  CLI::App& app_;
  const std::vector<std::string>* arguments_;
  const char* group_ = "Options";
};

}  // namespace paycurl
