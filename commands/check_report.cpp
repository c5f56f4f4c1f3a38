#include "commands/check_report.h"

#include <algorithm>
#include <array>

#include "commands/json.h"
#include "src/base/text.h"

namespace paycurl {
namespace {

using validation::Check;
using validation::Status;

constexpr std::array<Status, 4> kStatuses{Status::pass, Status::fail, Status::warn, Status::skip};

std::string summary_of(const Findings& findings) {
  const auto count = [&](Status status) { return std::to_string(findings.count(status)); };
  return count(Status::pass) + " passed, " + count(Status::fail) + " failed, " +
         count(Status::warn) + " warnings, " + count(Status::skip) + " skipped";
}

std::string paid_text(const Findings& findings) {
  std::string text;
  for (const Money& money : findings.paid) {
    text += (text.empty() ? "" : ", ") + describe(money);
  }
  return text;
}

/// "expected 402, found 500".
std::string difference(const Check& check) {
  return check.expected ? "expected " + *check.expected + ", found " + check.actual.value_or("")
                        : "";
}

/// The targets in the order in which they come first, each with its checks.
std::vector<std::pair<std::string, std::vector<const Check*>>> by_target(const Findings& findings) {
  std::vector<std::pair<std::string, std::vector<const Check*>>> targets;
  for (const Check& check : findings.checks) {
    auto found = std::find_if(targets.begin(), targets.end(),
                              [&](const auto& target) { return target.first == check.target; });
    if (found == targets.end()) {
      targets.push_back({check.target, {}});
      found = targets.end() - 1;
    }
    found->second.push_back(&check);
  }
  return targets;
}

std::string human(const Findings& findings) {
  const auto mark = [&](Status status) {
    std::string text{status == Status::pass   ? "pass"
                     : status == Status::fail ? "FAIL"
                     : status == Status::warn ? "WARN"
                                              : "skip"};
    const char* color = status == Status::fail ? "\033[31m" : "\033[33m";
    const bool colored = findings.is_colored && (status == Status::fail || status == Status::warn);
    return colored ? color + text + "\033[0m" : text;
  };
  std::string out;
  for (const auto& [target, checks] : by_target(findings)) {
    out += target + "\n";
    std::size_t passed = 0;
    for (const Check* check : checks) {
      if (check->status == Status::pass && !findings.shows_all) {
        ++passed;
        continue;
      }
      out += "  " + mark(check->status) + "  " + check->id + ": " + check->message + "\n";
      if (check->expected) {
        out += "        " + difference(*check) + "\n";
        if (!check->spec.empty()) out += "        " + check->spec + "\n";
      } else if (check->actual) {
        out += "        " + *check->actual + "\n";
      }
    }
    if (passed > 0) out += "  pass  " + std::to_string(passed) + " checks\n";
  }
  out += summary_of(findings);
  if (!findings.paid.empty()) out += "; paid " + paid_text(findings);
  return out + "\n";
}

/// The error of a report that has findings, each of which it names.
Error what_was_found() {
  return {Kind::protocol, "the server breaks rules", "the checks say which", "findings"};
}

Json json_of(const Findings& findings) {
  Json checks = Json::array();
  for (const Check& check : findings.checks) {
    checks.push(Json::object({{"id", check.id},
                              {"target", check.target},
                              {"status", validation::name_of(check.status)},
                              {"message", check.message},
                              {"expected", Json::or_null(check.expected)},
                              {"actual", Json::or_null(check.actual)},
                              {"spec", Json::or_null(std::string_view(check.spec))}}));
  }
  Json summary = Json::object();
  for (const Status status : kStatuses) {
    summary.set(std::string(validation::name_of(status)),
                static_cast<std::int64_t>(findings.count(status)));
  }
  return envelope()
      .set("url", findings.url)
      .set("checks", std::move(checks))
      .set("summary", std::move(summary))
      .set("paid", money_list(findings.paid))
      .set("error", findings.error            ? error_json(*findings.error)
                    : findings.has_findings() ? error_json(what_was_found())
                                              : Json());
}

/// For XML 1.0, in text and in attributes: markup escaped, what no document may contain left out.
std::string xml(std::string_view text) {
  std::string out;
  const std::string valid = valid_utf8(text);
  for (std::size_t i = 0; i < valid.size(); ++i) {
    const char c = valid[i];
    const bool is_noncharacter =
        valid.compare(i, 3, "\xef\xbf\xbe") == 0 || valid.compare(i, 3, "\xef\xbf\xbf") == 0;
    if (is_noncharacter) {
      i += 2;
    } else if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (c == '\n') {
      out += "&#10;";
    } else if (static_cast<unsigned char>(c) >= 0x20) {
      out += c;
    }
  }
  return out;
}

std::string junit_case(const Findings& findings, const Check& check) {
  std::string out =
      "    <testcase name=\"" + xml(check.id) + "\" classname=\"" + xml(check.target) + "\"";
  const std::string difference_text = difference(check);
  if (findings.is_finding(check)) {
    out += "><failure type=\"" + std::string(validation::name_of(check.status)) + "\" message=\"" +
           xml(check.message) + "\">" + xml(difference_text) +
           (check.spec.empty() ? "" : "&#10;" + xml(check.spec)) + "</failure></testcase>\n";
  } else if (check.status == Status::skip) {
    out += "><skipped message=\"" + xml(check.message) + "\"/></testcase>\n";
  } else if (check.status == Status::warn) {
    out += "><system-out>" + xml("warning: " + check.message + ": " + difference_text) +
           "</system-out></testcase>\n";
  } else {
    out += "/>\n";
  }
  return out;
}

std::string junit(const Findings& findings) {
  const auto count_findings = [&](const std::vector<const Check*>& checks) {
    return std::count_if(checks.begin(), checks.end(),
                         [&](const Check* check) { return findings.is_finding(*check); });
  };
  const auto findings_count =
      std::count_if(findings.checks.begin(), findings.checks.end(),
                    [&](const Check& check) { return findings.is_finding(check); });
  const std::string errors = findings.error ? "1" : "0";
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"" +
                    xml("paycurl validate " + findings.url) + "\" tests=\"" +
                    std::to_string(findings.checks.size() + (findings.error ? 1 : 0)) +
                    "\" failures=\"" + std::to_string(findings_count) + "\" errors=\"" + errors +
                    "\">\n";
  for (const auto& [target, checks] : by_target(findings)) {
    const auto skipped = std::count_if(checks.begin(), checks.end(), [](const Check* check) {
      return check->status == Status::skip;
    });
    out += "  <testsuite name=\"" + xml(target) + "\" tests=\"" + std::to_string(checks.size()) +
           "\" failures=\"" + std::to_string(count_findings(checks)) + "\" skipped=\"" +
           std::to_string(skipped) + "\" errors=\"0\">\n";
    for (const Check* check : checks) {
      out += junit_case(findings, *check);
    }
    out += "  </testsuite>\n";
  }
  if (findings.error) {
    out +=
        "  <testsuite name=\"paycurl\" tests=\"1\" failures=\"0\" skipped=\"0\" errors=\"1\">\n"
        "    <testcase name=\"complete\" classname=\"paycurl\"><error message=\"" +
        xml(printable(findings.error->message)) + "\"/></testcase>\n  </testsuite>\n";
  }
  return out + "</testsuites>\n";
}

/// In a description of TAP: one line, in which # and \ mean something.
std::string tap_description(std::string_view text) {
  std::string out;
  for (const char c : printable(text, 1000)) {
    if (c == '#' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string tap(const Findings& findings) {
  std::string out = "TAP version 14\n1.." + std::to_string(findings.checks.size()) + "\n";
  std::size_t number = 0;
  for (const Check& check : findings.checks) {
    const bool is_finding = findings.is_finding(check);
    const bool is_skipped = check.status == Status::skip;
    const std::string what = is_skipped ? check.target : check.target + ": " + check.message;
    out += (is_finding ? "not ok " : "ok ") + std::to_string(++number) + " - " + check.id + " " +
           tap_description(what);
    if (is_skipped) out += " # SKIP " + tap_description(check.message);
    out += "\n";
    if (check.status != Status::fail && check.status != Status::warn) continue;
    // A string of JSON is one of YAML.
    const auto line = [](const char* name, const std::string& text) {
      return "  " + std::string(name) + ": " + with_hidden_escaped(Json(text).dump()) + "\n";
    };
    out += "  ---\n" + line("severity", std::string(validation::name_of(check.status))) +
           line("expected", check.expected.value_or("")) +
           line("actual", check.actual.value_or("")) + line("spec", check.spec) + "  ...\n";
  }
  if (findings.error) out += "Bail out! " + printable(findings.error->message) + "\n";
  return out;
}

/// Of a workflow command: % and line ends always, : and , in its properties.
std::string github_escaped(std::string_view text, bool is_property) {
  std::string out;
  for (const char c : text) {
    if (c == '%') {
      out += "%25";
    } else if (c == '\r') {
      out += "%0D";
    } else if (c == '\n') {
      out += "%0A";
    } else if (is_property && c == ':') {
      out += "%3A";
    } else if (is_property && c == ',') {
      out += "%2C";
    } else {
      out += c;
    }
  }
  return out;
}

std::string github(const Findings& findings) {
  std::string out;
  for (const Check& check : findings.checks) {
    if (check.status != Status::fail && check.status != Status::warn) continue;
    const std::string level = findings.is_finding(check) ? "error" : "warning";
    const std::string text = check.target + ": " + check.message + ": " + difference(check) +
                             (check.spec.empty() ? "" : "\n" + check.spec);
    out += "::" + level + " title=" + github_escaped(check.id, true) +
           "::" + github_escaped(text, false) + "\n";
  }
  if (findings.error) {
    out += "::error title=paycurl::" +
           github_escaped(printable(findings.error->message, 1000), false) + "\n";
  }
  return out + summary_of(findings) + "\n";
}

}  // namespace

std::size_t Findings::count(Status status) const {
  return static_cast<std::size_t>(std::count_if(
      checks.begin(), checks.end(), [&](const Check& check) { return check.status == status; }));
}

bool Findings::is_finding(const Check& check) const {
  return check.status == Status::fail || (warnings_matter && check.status == Status::warn);
}

bool Findings::has_findings() const {
  return std::any_of(checks.begin(), checks.end(),
                     [&](const Check& check) { return is_finding(check); });
}

bool is_report_format(std::string_view format) {
  constexpr std::array<std::string_view, 5> kFormats{"human", "json", "junit", "tap", "github"};
  return std::find(kFormats.begin(), kFormats.end(), format) != kFormats.end();
}

std::string report_text(const Findings& findings, std::string_view format) {
  if (format == "json") return with_hidden_escaped(json_of(findings).dump()) + "\n";
  if (format == "junit") return junit(findings);
  if (format == "tap") return tap(findings);
  if (format == "github") return github(findings);
  return human(findings);
}

}  // namespace paycurl
