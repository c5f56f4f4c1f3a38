// Config files: what is accepted has limits, pins and denials whose places are lines of the file.
#include "wallet/config.h"

#include "tests/fuzz/fuzz.h"
#include "wallet/policy.h"

namespace paycurl {
namespace {

void check_limits(const std::vector<Limit>& limits) {
  for (const Limit& limit : limits) {
    FUZZ_CHECK(is_decimal(limit.amount) && !limit.unit.empty());
    FUZZ_CHECK(limit.source == Limit::Source::file && limit.place.starts_with("c:"));
  }
}

}  // namespace

void fuzz_one(std::string_view input) {
  const auto file = parse_config(input, "c");
  if (!file) {
    FUZZ_CHECK(file.error().kind == Kind::usage && file.error().message.starts_with("c"));
    return;
  }
  for (const ConfigEntry& entry : file->entries) {
    FUZZ_CHECK(entry.flag.has_value() == entry.values.empty());
    FUZZ_CHECK(entry.place.starts_with("c:") && entry.place.size() > 2);
  }
  const auto rules = rules_of(*file);
  if (!rules) {
    FUZZ_CHECK(rules.error().kind == Kind::usage && rules.error().message.starts_with("c:"));
    return;
  }
  check_limits(rules->all.max_spend);
  const Limits all = limits_of_files({*rules});
  for (const Rule& rule : rules->hosts) {
    FUZZ_CHECK(is_host_pattern(rule.host));
    check_limits(rule.max_spend);
    if (rule.host.starts_with('*')) continue;
    const std::string origin = "https://" + rule.host;
    const bool has_port = rule.host.find(':') != std::string::npos;
    FUZZ_CHECK(has_port || matches_host(rule.host, origin));
    if (has_port || rule.deny.on != true) continue;
    Spend spend;
    spend.origin = origin;
    const auto allowed = allow(spend, all, {});
    FUZZ_CHECK(!allowed && allowed.error().reason == "denied");
  }
}

}  // namespace paycurl
