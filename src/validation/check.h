// What `paycurl validate` checks: the table of checks, and what came of them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace paycurl::validation {

enum class Status { pass, fail, warn, skip };

std::string_view name_of(Status status);

/// A check. IDs are part of the command-line contract (docs/validate.md): never renamed.
struct CheckKind {
  std::string_view id;              ///< "challenge.expires"
  Status severity;                  ///< what it is when it does not hold: fail or warn
  std::string_view sentence;        ///< what has to hold
  std::string_view draft, section;  ///< where it is said; empty where it is only good practice

  std::string spec() const;  ///< "draft-httpauth-payment-00, Caching"
};

/// All of them, in the order in which they are made.
std::span<const CheckKind> check_kinds();

/// One check of one target.
struct Check {
  std::string id, target;
  Status status = Status::pass;
  std::string message;  ///< the sentence of its kind; of a skipped one why
  std::optional<std::string> expected, actual;
  std::string spec;
};

class Report {
 public:
  /// The next checks are of this: "GET /v1/x", "GET /v1/x #2 tempo/session".
  void about(std::string target) { target_ = std::move(target); }
  const std::string& target() const { return target_; }

  void pass(std::string_view id, std::string_view actual = {});
  /// It does not hold: fails or warns, as the table says.
  void fault(std::string_view id, std::string_view expected, std::string_view actual);
  /// The same, warning at most.
  void warn(std::string_view id, std::string_view expected, std::string_view actual);
  void skip(std::string_view id, std::string_view why);
  /// Passes or faults; returns `holds`.
  bool check(std::string_view id, bool holds, std::string_view expected, std::string_view actual);

  const std::vector<Check>& checks() const { return checks_; }
  std::size_t count(Status status) const;

 private:
  void add(std::string_view id, Status status, std::string_view message,
           std::optional<std::string> expected, std::optional<std::string> actual);

  std::string target_;
  std::vector<Check> checks_;
};

}  // namespace paycurl::validation
