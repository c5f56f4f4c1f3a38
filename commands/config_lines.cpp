#include "commands/config_lines.h"

#include <algorithm>

#include "src/base/text.h"
#include "src/http/body.h"

namespace paycurl {
namespace {

constexpr std::size_t kMostBytes = 1 << 20;
constexpr int kMostNested = 8;
constexpr std::string_view kSpace = " \t\r\v\f";

bool is_space(char c) {
  return kSpace.find(c) != std::string_view::npos;
}

void skip(std::string_view& line, std::string_view what) {
  line.remove_prefix(std::min(line.find_first_not_of(what), line.size()));
}

/// "text" up to the closing quote, with the escapes of curl: \t \n \r \v, else the letter itself.
std::string take_quoted(std::string_view& line) {
  std::string text;
  line.remove_prefix(1);
  while (!line.empty() && line[0] != '"') {
    char c = line[0];
    if (c == '\\' && line.size() > 1) {
      line.remove_prefix(1);
      constexpr std::string_view kLetters = "tnrv", kMeant = "\t\n\r\v";
      const std::size_t escape = kLetters.find(line[0]);
      c = escape == std::string_view::npos ? line[0] : kMeant[escape];
    }
    text += c;
    line.remove_prefix(1);
  }
  if (!line.empty()) line.remove_prefix(1);
  return text;
}

std::string take_word(std::string_view& line) {
  const std::size_t end = std::min(line.find_first_of(kSpace), line.size());
  std::string word(line.substr(0, end));
  line.remove_prefix(end);
  return word;
}

Result<std::string> config_text(const std::string& file) {
  http::Body body;
  if (auto read = body.append_file(file); !read) {
    return std::move(read).error().within("-K");
  }
  const auto text = body.text(kMostBytes);
  if (!text || !*text) return Error{Kind::usage, "-K: " + printable(file) + " is too long"};
  return **text;
}

/// What one argument of the command line means for -K.
struct ConfigMention {
  std::string before;  ///< letters in front of the K of a cluster: "-s" of "-sKfile"
  std::string file;    ///< joined: "--config=file", "-Kfile"
  bool mentions = false;
  bool file_follows = false;
  bool value_follows = false;  ///< of another option
};

ConfigMention look_at(const std::string& argument, const ShapeOf& shape_of) {
  ConfigMention found;
  if (argument.starts_with("--")) {
    const std::size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    const bool joined = equals != std::string::npos;
    found.mentions = name == "--config";
    found.file_follows = found.mentions && !joined;
    if (found.mentions && joined) found.file = argument.substr(equals + 1);
    found.value_follows = !found.mentions && !joined && shape_of(name).takes_value;
    return found;
  }
  for (std::size_t i = 1; argument.starts_with('-') && i < argument.size(); ++i) {
    const bool is_last = i + 1 == argument.size();
    if (argument[i] == 'K') {
      found.mentions = true;
      found.before = i > 1 ? argument.substr(0, i) : "";
      found.file = argument.substr(i + 1);
      found.file_follows = is_last;
      return found;
    }
    if (!shape_of(std::string("-") + argument[i]).takes_value) continue;
    found.value_follows = is_last;
    break;
  }
  return found;
}

}  // namespace

Result<std::vector<std::string>> read_config_lines(std::string_view text, const std::string& name,
                                                   const ShapeOf& shape_of) {
  std::vector<std::string> arguments;
  for (int number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    skip(line, kSpace);
    if (line.empty() || line[0] == '#' || line[0] == '/' || line[0] == '*') continue;
    const auto bad = [&](const std::string& why) {
      return Error{Kind::usage, printable(name) + ":" + std::to_string(number) + ": " + why,
                   "write: name = \"value\""};
    };
    // Behind a dash "=" belongs to the name.
    const bool has_dash = line[0] == '-';
    const std::size_t end =
        std::min(line.find_first_of(has_dash ? " \t\r\v\f" : " \t\r\v\f=:"), line.size());
    std::string option(line.substr(0, end));
    if (!has_dash) option.insert(0, "--");
    line.remove_prefix(end);
    skip(line, has_dash ? kSpace : std::string_view(" \t\r\v\f=:"));
    const bool is_quoted = line.starts_with('"');
    const bool has_value = is_quoted || !(line.empty() || line[0] == '#');
    const OptionShape shape = shape_of(option);
    if (!shape.known) {
      Error error = bad("unknown option " + printable(option, 60));
      error.hint = "docs/curl.md says what there is of curl's options";
      return error;
    }
    if (has_value != shape.takes_value) {
      return bad(printable(option, 60) + (has_value ? " takes no value" : " needs a value"));
    }
    arguments.push_back(option);
    if (has_value) arguments.push_back(is_quoted ? take_quoted(line) : take_word(line));
    while (has_value && !line.empty() && is_space(line[0])) {
      line.remove_prefix(1);
    }
    if (has_value && !line.empty() && line[0] != '#') {
      return bad("there is more behind the value: " + printable(line, 40));
    }
  }
  return arguments;
}

Result<std::vector<std::string>> with_config_files(const std::vector<std::string>& arguments,
                                                   const ShapeOf& shape_of, int depth) {
  if (depth > kMostNested) return Error{Kind::usage, "-K: the files name each other without end"};
  std::vector<std::string> all;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--") {
      all.insert(all.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i), arguments.end());
      break;
    }
    const ConfigMention found = look_at(arguments[i], shape_of);
    const bool has_next = i + 1 < arguments.size();
    if (!found.mentions) {
      all.push_back(arguments[i]);
      if (found.value_follows && has_next) all.push_back(arguments[++i]);
      continue;
    }
    if (found.file_follows && !has_next) return Error{Kind::usage, "option -K needs a value"};
    const std::string file = found.file_follows ? arguments[++i] : found.file;
    if (!found.before.empty()) all.push_back(found.before);
    const auto text = config_text(file);
    if (!text) return text.error();
    auto lines = read_config_lines(*text, file, shape_of);
    if (lines) lines = with_config_files(*lines, shape_of, depth + 1);
    if (!lines) return lines.error();
    all.insert(all.end(), lines->begin(), lines->end());
  }
  return all;
}

}  // namespace paycurl
