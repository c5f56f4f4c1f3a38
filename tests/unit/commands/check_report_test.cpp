// The report formats, with text that wants to be markup.
#include "commands/check_report.h"

#include <doctest/doctest.h>

namespace paycurl {
namespace {

using validation::Status;

Findings hostile() {
  validation::Report report;
  report.about("GET /a\"><&\x1b[2J\n::error::x");
  report.pass("challenge.id");
  report.fault("challenge.cache-control", "no-store", "<b>&\"'\x01\xff\xef\xbf\xbe # % \\ \n---");
  report.skip("challenge.https", "it is # this machine");
  report.warn("challenge.expires", "a, b: c", "none");
  return {"http://h/?a=<&>", report.checks(), {}, std::nullopt};
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

bool has_controls(const std::string& text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n') return true;
  }
  return false;
}

TEST_CASE("a report says what is a finding") {
  Findings findings = hostile();
  CHECK(findings.count(Status::fail) == 1);
  CHECK(findings.count(Status::warn) == 1);
  CHECK(findings.has_findings());
  CHECK_FALSE(findings.is_finding(findings.checks[3]));
  findings.warnings_matter = true;
  CHECK(findings.is_finding(findings.checks[3]));
}

TEST_CASE("no format passes control characters on") {
  for (const char* format : {"human", "json", "junit", "tap", "github"}) {
    CAPTURE(format);
    CHECK_FALSE(has_controls(report_text(hostile(), format)));
  }
}

TEST_CASE("junit") {
  const std::string text = report_text(hostile(), "junit");
  CHECK(has(text, "tests=\"4\" failures=\"1\" errors=\"0\""));
  CHECK(has(text, "&lt;b&gt;&amp;&quot;"));
  CHECK_FALSE(has(text, "<b>"));
  CHECK_FALSE(has(text, "\xef\xbf\xbe"));  // U+FFFE is in no XML document
  CHECK(has(text, "<skipped message=\"it is # this machine\"/>"));
  Findings broken = hostile();
  broken.error = Error{Kind::account, "no <account>"};
  CHECK(has(report_text(broken, "junit"), "<error message=\"no &lt;account&gt;\"/>"));
}

TEST_CASE("tap") {
  const std::string text = report_text(hostile(), "tap");
  CHECK(text.starts_with("TAP version 14\n1..4\nok 1 - challenge.id "));
  CHECK(has(text, "\nnot ok 2 - challenge.cache-control "));
  CHECK(has(text, " # SKIP it is \\# this machine\n"));
  CHECK(has(text, "\nok 4 - challenge.expires "));
}

TEST_CASE("github") {
  const std::string text = report_text(hostile(), "github");
  CHECK(has(text, "::error title=challenge.cache-control::"));
  CHECK(has(text, "::warning title=challenge.expires::"));
  CHECK(has(text, " %25 "));
  CHECK(has(text, "%0Adraft-httpauth-payment-00"));
  CHECK_FALSE(has(text, "\n::error::x"));  // the server's own command stays inside a line
}

}  // namespace
}  // namespace paycurl
