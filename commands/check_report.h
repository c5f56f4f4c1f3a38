// The findings of `paycurl validate` in the formats that people and CI systems read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "src/base/error.h"
#include "src/base/json.h"
#include "src/validation/check.h"

namespace paycurl {

struct Findings {
  std::string url;
  std::vector<validation::Check> checks;
  std::vector<Money> paid;
  std::optional<Error> error;    ///< why it is not complete
  bool warnings_matter = false;  ///< --fail-on warning
  bool shows_all = false;        ///< for people: what passes too
  bool is_colored = false;       ///< the same

  std::size_t count(validation::Status status) const;
  bool is_finding(const validation::Check& check) const;
  bool has_findings() const;
};

/// Whether `format` is one of human, json, junit, tap and github.
bool is_report_format(std::string_view format);

/// The report, with a newline at its end. Texts of servers have been through `printable`.
///   human   for people
///   json    the validate object of man/schemas.json
///   junit   XML 1.0: a suite for each target, a case for each check
///   tap     TAP version 14
///   github  workflow commands: an annotation for each finding
std::string report_text(const Findings& findings, std::string_view format);

}  // namespace paycurl
