// The config files: who may have written them, what they may say, and what holds then.
#include "wallet/config.h"

#include <fstream>

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/folder.h"
#include "wallet/settings.h"
#include "wallet/spender.h"

namespace paycurl {
namespace {

const Asset kAlpha{"AlphaUSD",    6,    "0x20c0000000000000000000000000000000000001",
                   "tempo:42431", true, true};
const Asset kUsdc{"USDC.e", 6, "0x20c000000000000000000000b9537d11c60e8b50", "tempo:4217", true};
const Asset kNamed{"FAKE",       18,    "0x20c00000000000000000000000000000000000ff",
                   "tempo:4217", false, false};
const Asset kSat{"sat", 3, "", "lightning:mainnet"};
const std::string kPayer = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const std::string kPayee = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const std::string kOther = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const std::string kApi = "https://api.example.com";

std::string error_of(std::string_view text) {
  const auto file = parse_config(text, "c.toml");
  if (!file) return file.error().message;
  const auto rules = rules_of(*file);
  return rules ? "" : rules.error().message;
}

RuleFile rules(std::string_view text, bool is_final = false) {
  auto file = parse_config(text, is_final ? "etc.toml" : "c.toml");
  REQUIRE(file.has_value());
  file->is_final = file->is_final || is_final;
  auto read = rules_of(*file);
  REQUIRE_MESSAGE(read.has_value(), read.error().message);
  return *read;
}

/// The limits of a user's file, behind one of root's.
Limits limits(std::string_view user, std::string_view system = "") {
  return limits_of_files({rules(system, true), rules(user)});
}

void give(Limits& all, const std::string& text) {
  Limit limit = *parse_limit(text);
  limit.source = Limit::Source::given;
  replace_limit(all.max_spend, std::move(limit));
}

Spend spend_of(const Asset& asset, Amount amount, const std::string& origin = kApi) {
  Spend spend;
  spend.total = {amount, asset};
  spend.payees = {{kPayee, amount}};
  spend.fee = {0, asset};
  spend.payer = kPayer;
  spend.origin = origin;
  spend.known_asset = asset.is_dollar;
  return spend;
}

std::string refusal(const Spend& spend, const Limits& limits, const Spent& spent = {}) {
  const auto allowed = allow(spend, limits, spent);
  if (allowed) return "";
  CHECK(allowed.error().kind == Kind::declined);
  return allowed.error().reason;
}

TEST_CASE("what a config file may not say, with its line") {
  for (const auto& [text, message] : std::vector<std::pair<std::string, std::string>>{
           {"", ""},
           {"a = [", "c.toml:1:6: not TOML"},
           {"a = 1\na = 2", "c.toml:2"},
           {"\n\n[limit]\n", "c.toml:3: unknown section [limit]"},
           {"final = 1", "c.toml:1: final is true or false"},
           {"[limits]\nmax_spent = \"1\"", "c.toml:2: unknown key max_spent in [limits]"},
           {"[limits]\nmax_spend = 0.5", "c.toml:2: max-spend is an amount"},
           {"[limits]\nmax_spend = \"-1\"", "c.toml:2: max-spend: not a limit: -1"},
           {"[limits]\nmax_spend = \"\"", "c.toml:2: max-spend: not a limit"},
           {"[limits]\nmax_spend = []", "c.toml:2: max_spend is a list without a text"},
           {"[limits]\nmax_spend = -1", "c.toml:2: max-spend: not a limit: -1"},
           {"max_spend = 1\n[limits]\nmax-spend = 2", "said already"},
           {"[limits]\nmax_increase = \"ten\"", "c.toml:2: not an increase: ten"},
           {"[host]\na = 1", "c.toml:2: unknown key a in [host]"},
           {"[host.api.example.com]\ndeny = true", "c.toml:1: unknown section [host.api.example]"},
           {"[host.\"https://a.com\"]\ndeny = true", "c.toml:1: not a host: https://a.com"},
           {"[host.\"a.com:\"]\ndeny = true", "not a host"},
           {"[host.\"a.*.com\"]\ndeny = true", "not a host"},
           {"[host.\"a.com\"]\ndeny = \"yes\"", "c.toml:2: deny is true or false"},
           {"[host.\"a.com\"]\ndenied = true", "c.toml:2: unknown key denied"},
           {"[host.\"a.com\"]\nrecipient = \"0x12\"", "c.toml:2: not an address: 0x12"},
           {"[host.\"a.com\"]\nrecipient = []", "a list without a text"},
           {"[host.\"a.com\"]\naccount = \"../x\"", "c.toml:2: not an account's name"},
           {"[host.\"a.com\"]\ntoken = \"a\"\ncurrency = \"b\"", "said already"},
           {"[host.\"a.com\"]\ndeny = true\n[host.\"A.com\"]\ndeny = false", "said already"},
           {"when = 2020-01-01", "c.toml:1: when is no text"},
           {"x = \"a\\u0000b\"", "NUL"},
           {"x = \"\xff\"", "not ASCII"},
       }) {
    CAPTURE(text);
    const std::string found = error_of(text);
    CHECK((message.empty() ? found.empty() : found.find(message) != std::string::npos));
    if (!message.empty()) CHECK_MESSAGE(!found.empty(), found);
  }
  CHECK(error_of(std::string((1 << 20) + 1, '#')).find("larger than 1 MiB") != std::string::npos);
}

TEST_CASE("what is not ASCII stands in comments alone") {
  CHECK(parse_config("# für\nmax-time = 1 # für\n", "f").has_value());
  CHECK(parse_config("user-agent = \"a # b\" # ü", "f").has_value());
  const auto escaped = parse_config(R"(user-agent = "f\u00fcr")", "f");
  REQUIRE(escaped.has_value());
  CHECK(escaped->entries.front().values.front() == "für");
  for (const char* bad :
       {"\xC3\xA9 = 1", "user-agent = \"ü\"", "user-agent = '#ü'", "x = 1 \xE3\x80\x81",
        "a = \"\"\"\n\\\n\xE3\x81\x82\"\"\"", "a = \"\\\"ü\"", "\xEF\xBB\xBFx = 1"}) {
    CAPTURE(bad);
    const auto read = parse_config(bad, "f");
    REQUIRE(!read.has_value());
    CHECK(read.error().message.find("not ASCII") != std::string::npos);
  }
}

TEST_CASE("whom a section speaks of") {
  CHECK(matches_host("api.example.com", "https://api.example.com"));
  CHECK(matches_host("api.example.com", "http://api.example.com:8080"));
  CHECK(matches_host("API.example.com.", "https://api.example.com"));
  CHECK(matches_host("api.example.com", "https://api.example.com."));
  CHECK(matches_host("api.example.com:443", "https://api.example.com"));
  CHECK_FALSE(matches_host("api.example.com:443", "http://api.example.com"));
  CHECK_FALSE(matches_host("api.example.com", "https://xapi.example.com"));
  CHECK_FALSE(matches_host("api.example.com", "https://api.example.com.evil.com"));
  CHECK(matches_host("*.example.com", "https://a.b.example.com"));
  CHECK_FALSE(matches_host("*.example.com", "https://example.com"));
  CHECK_FALSE(matches_host("*.example.com", "https://evilexample.com"));
  CHECK(matches_host("*", "https://[::1]:8443"));
  CHECK(matches_host("[::1]:8443", "https://[::1]:8443"));
  CHECK_FALSE(matches_host("[::1]:8443", "https://[::1]"));
  CHECK(matches_host("127.0.0.1", "http://[::ffff:127.0.0.1]:8080"));
  CHECK(matches_host("[::ffff:7f00:1]", "http://127.0.0.1"));
  CHECK(matches_host("[0:0::1]", "http://[::1]"));
  CHECK_FALSE(is_host_pattern("127.1"));
  CHECK_FALSE(is_host_pattern("[::1::]"));
  CHECK_FALSE(matches_host("*", ""));
}

TEST_CASE("a denial, and the more exact section that lifts it") {
  const Limits all = limits(
      "[host.\"*\"]\ndeny = true\n[host.\"*.example.com\"]\ndeny = false\n"
      "[host.\"bad.example.com\"]\ndeny = true\n[host.\"bad.example.com:8443\"]\ndeny = false");
  CHECK(refusal(spend_of(kUsdc, 1), all).empty());
  CHECK(refusal(spend_of(kUsdc, 1, "https://bad.example.com"), all) == "denied");
  CHECK(refusal(spend_of(kUsdc, 1, "https://bad.example.com:8443"), all).empty());
  CHECK(refusal(spend_of(kUsdc, 1, "https://elsewhere.com"), all) == "denied");
  CHECK(refusal(spend_of(kUsdc, 0, "https://elsewhere.com"), all) == "denied");  // proofs as well
  // Another file does not lift it.
  const Limits both =
      limits("[host.\"api.example.com\"]\ndeny = false", "[host.\"*.example.com\"]\ndeny = true");
  CHECK(refusal(spend_of(kUsdc, 1), both) == "denied");
  CHECK(refusal(spend_of(kUsdc, 1, "https://elsewhere.com"), both).empty());
}

TEST_CASE("pins") {
  Spend spend = spend_of(kUsdc, 100);
  CHECK(refusal(spend, limits("[host.\"*\"]\nrecipient = \"" + kPayee + "\"")).empty());
  CHECK(refusal(spend, limits("[host.\"*\"]\nrecipient = \"" + kOther + "\"")) ==
        "pinned_recipient");
  CHECK(refusal(spend, limits("[host.\"*\"]\nrecipient = [\"" + kOther + "\", \"" + kPayee + "\"]"))
            .empty());
  spend.payees = {{kPayee, 99}, {kOther, 1}};  // shares with somebody else
  CHECK(refusal(spend, limits("[host.\"*\"]\nrecipient = \"" + kPayee + "\"")) ==
        "pinned_recipient");
  spend = spend_of(kUsdc, 100);
  CHECK(refusal(spend, limits("[host.\"*\"]\ncurrency = \"usdc.E\"")).empty());
  CHECK(refusal(spend, limits("[host.\"*\"]\ntoken = \"" + kAlpha.token + "\"")) ==
        "pinned_currency");
  Spend fake = spend;
  fake.known_asset = false;  // its symbol is not ours
  CHECK(refusal(fake, limits("[host.\"*\"]\ncurrency = \"USDC.e\"")) == "pinned_currency");
  CHECK(refusal(spend, limits("[host.\"*\"]\nnetwork = \"mainnet\"")).empty());
  CHECK(refusal(spend, limits("[host.\"*\"]\nchain = 4217")).empty());
  CHECK(refusal(spend, limits("[host.\"*\"]\nchain = [42431, \"testnet\"]")) == "pinned_network");
  CHECK(refusal(spend, limits("[host.\"*\"]\nmethod = \"lightning\"")) == "pinned_method");
  CHECK(refusal(spend, limits("[host.\"*\"]\nmethod = \"tempo\"")).empty());
}

TEST_CASE("an option comes before a host's section, that before [limits]") {
  Limits all = limits(
      "[limits]\nmax_spend = \"0.50\"\n[host.\"api.example.com\"]\nmax_spend = \"2.00\"\n"
      "[host.\"cheap.example.com\"]\nmax_spend = \"0.01\"");
  CHECK(refusal(spend_of(kUsdc, 500'001, "https://x.com"), all) == "max_spend");
  CHECK(refusal(spend_of(kUsdc, 2'000'000), all).empty());
  CHECK(refusal(spend_of(kUsdc, 2'000'001), all) == "max_spend");
  CHECK(refusal(spend_of(kUsdc, 10'001, "https://cheap.example.com"), all) == "max_spend");
  // One request may cost that much, and the run what [limits] says.
  const Spend cheap = spend_of(kUsdc, 10'000, "https://cheap.example.com");
  CHECK(refusal(cheap, all, {{{490'000, kUsdc}}, {}}).empty());
  CHECK(refusal(cheap, all, {{{490'001, kUsdc}}, {}}) == "max_spend");
  CHECK(refusal(cheap, all, {{{1, kUsdc}}, {}, {{1, kUsdc}}}) == "max_spend");
  give(all, "0.05");
  CHECK(refusal(spend_of(kUsdc, 50'001), all) == "max_spend");
  CHECK(refusal(spend_of(kUsdc, 50'000, "https://cheap.example.com"), all).empty());
}

TEST_CASE("an option's limit is not passed by a file's on the token itself") {
  Limits all = limits("[limits]\nmax_spend = \"5:" + kUsdc.token + "\"");
  CHECK(refusal(spend_of(kUsdc, 5'000'000), all).empty());
  give(all, "0.05");
  CHECK(refusal(spend_of(kUsdc, 50'001), all) == "max_spend");
}

TEST_CASE("ceilings are not raised by options, the other file or a host's section") {
  const std::string system = "[limits]\nmax_spend = [\"0.50\", \"100sat\"]\nper_day = \"1\"";
  Limits all = limits(
      "[limits]\nmax_spend = \"9\"\nper_day = \"99\"\n[host.\"*\"]\nmax_spend = \"9\"", system);
  give(all, "7");
  CHECK(refusal(spend_of(kUsdc, 500'000), all).empty());
  CHECK(refusal(spend_of(kUsdc, 500'001), all) == "max_spend");
  CHECK(refusal(spend_of(kUsdc, 1), all, {{{500'000, kUsdc}}, {}}) == "max_spend");
  CHECK(refusal(spend_of(kUsdc, 400'000), all, {{}, {{600'001, kUsdc}}}) == "per_day");
  CHECK(refusal(spend_of(kUsdc, 400'000), all, {{}, {{600'000, kUsdc}}}).empty());
  const auto over = allow(spend_of(kUsdc, 500'001), all, {});
  CHECK(over.error().message.find("etc.toml:2") != std::string::npos);
  CHECK(over.error().hint == kNoOptionRaises);
  const auto budget = run_budget(kUsdc, all, {{{100'000, kUsdc}}, {}}, kApi);
  REQUIRE(budget.has_value());
  CHECK(budget->limit == Amount(500'000));
  CHECK(budget->left == Amount(400'000));
  // A name for a token of the user's own does not get around it, nor does another rail.
  give(all, "1000:" + kNamed.token);
  CHECK(refusal(spend_of(kNamed, 1), all) == "max_spend");
  CHECK(refusal(spend_of(kSat, 1000), limits("", "[limits]\nmax_spend = \"5\"")) == "max_spend");
  CHECK(
      refusal(spend_of(kSat, 1000), limits("", "[limits]\nmax_spend = [\"5\", \"1sat\"]")).empty());
  CHECK(refusal(spend_of(kSat, 1001), limits("", "[limits]\nmax_spend = [\"5\", \"1sat\"]")) ==
        "max_spend");
  // Nor does its own section of a host.
  const Limits own = limits("", "[limits]\nmax_spend = \"0.10\"\n[host.\"*\"]\nmax_spend = \"5\"");
  CHECK(refusal(spend_of(kUsdc, 100'001), own) == "max_spend");
}

TEST_CASE("final = true makes a user's limits ceilings as well") {
  Limits all = limits("final = true\nmax_spend = \"0.10\"");
  give(all, "5");
  CHECK(refusal(spend_of(kUsdc, 100'001), all) == "max_spend");
  Limits open = limits("max_spend = \"0.10\"");
  give(open, "5");
  CHECK(refusal(spend_of(kUsdc, 100'001), open).empty());
}

TEST_CASE("fees and deposits have ceilings too") {
  Limits all = limits("[host.\"api.example.com\"]\nmax_deposit = \"3\"\nmax_fee = \"0.5\"",
                      "[limits]\nmax_deposit = \"2\"\nmax_fee = \"0.03\"");
  CHECK(fee_limit({0, kUsdc}, all, kApi) == Amount(30'000));
  CHECK(fee_limit({0, kSat}, all, kApi) == Amount(10'000));
  CHECK(deposit_limit(kUsdc, all, {}, kApi) == Amount(2'000'000));
  Limit much = *parse_limit("9");
  much.source = Limit::Source::given;
  all.max_deposit = {much};
  all.max_fee = {much, *parse_limit("500sat")};
  Spend spend = spend_of(kUsdc, 1);
  spend.escrow = 2'000'000;
  spend.fee = {30'000, kUsdc};
  CHECK(refusal(spend, all).empty());
  spend.fee = {30'001, kUsdc};
  CHECK(refusal(spend, all) == "max_fee");
  spend.fee = {0, kUsdc};
  spend.escrow = 2'000'001;
  CHECK(refusal(spend, all) == "max_deposit");
  CHECK(fee_limit({0, kSat}, all, kApi) == Amount(10'000));  // what is built in
  const Limits host = limits("[host.\"api.example.com\"]\nmax_deposit = \"3\"");
  CHECK(deposit_limit(kUsdc, host, {}, kApi) == Amount(3'000'000));
  CHECK(deposit_limit(kUsdc, host, {}, "https://x.com") == Amount(1'000'000));
}

TEST_CASE("a host's day counts what all accounts paid there, test money apart") {
  const Limits all = limits("[host.\"*.example.com\"]\nper_day = \"0.10\"");
  CHECK(limits_hosts_by_day(all));
  Spent spent;
  spent.by_origin = {{kApi, {40'000, kUsdc}},
                     {"https://b.example.com", {30'000, kUsdc}},
                     {"https://other.com", {900'000, kUsdc}},
                     {kApi, {90'000, kAlpha}}};
  CHECK(refusal(spend_of(kUsdc, 30'000), all, spent).empty());
  CHECK(refusal(spend_of(kUsdc, 30'001), all, spent) == "per_day");
  CHECK(refusal(spend_of(kAlpha, 10'000), all, spent).empty());
  CHECK(refusal(spend_of(kAlpha, 10'001), all, spent) == "per_day");
  CHECK(refusal(spend_of(kUsdc, 30'001, "https://other.com"), all, spent).empty());
  // The built-in limit of a day is about real money; one of a file is not.
  const Spent today{{}, {{10'000'000, kAlpha}}};
  CHECK(refusal(spend_of(kAlpha, 10'000), limits(""), today).empty());
  CHECK(refusal(spend_of(kAlpha, 10'000), limits("per_day = \"10\""), today) == "per_day");
}

TEST_CASE("a price that rises, to the base unit") {
  const auto priced = [](Amount now, Amount last, const Limits& all) {
    Spent spent;
    spent.last_price = last;
    return refusal(spend_of(kUsdc, now), all, spent);
  };
  const Limits ten = limits("max_increase = \"10%\"");
  CHECK(priced(11'000, 10'000, ten).empty());
  CHECK(priced(11'001, 10'000, ten) == "max_increase");
  CHECK(priced(1, 10'000, ten).empty());
  CHECK(priced(1, 0, ten) == "max_increase");
  CHECK(priced(10'001, 10'000, limits("max_increase = 0")) == "max_increase");
  CHECK(priced(10'250, 10'000, limits("max_increase = \"2.5\"")).empty());
  CHECK(priced(10'251, 10'000, limits("max_increase = \"2.5\"")) == "max_increase");
  CHECK(priced(999'999, 10'000, limits("")).empty());
  CHECK(refusal(spend_of(kUsdc, 999'999), ten).empty());  // never paid before
  // A host's section comes before it, an option before that, a ceiling before all.
  Limits host = limits("max_increase = 10\n[host.\"*\"]\nmax_increase = 50");
  CHECK(priced(15'000, 10'000, host).empty());
  host.max_increase = *parse_increase("5");
  host.max_increase.source = Limit::Source::given;
  CHECK(priced(10'501, 10'000, host) == "max_increase");
  Limits final_one = limits("", "max_increase = 20");
  final_one.max_increase = *parse_increase("100000");
  final_one.max_increase.source = Limit::Source::given;
  CHECK(priced(12'001, 10'000, final_one) == "max_increase");
  // The user said yes to that price, but not for root.
  Limits agreed = ten;
  agreed.agreed_price = Money{20'000, kUsdc};
  CHECK(priced(20'000, 10'000, agreed).empty());
  CHECK(priced(20'001, 10'000, agreed) == "max_increase");
  final_one.agreed_price = Money{20'000, kUsdc};
  CHECK(priced(20'000, 10'000, final_one) == "max_increase");
  const Amount huge = *Amount::parse(
      "115792089237316195423570985008687907853269984665640564039457584007913129639935");
  Limits wide = ten;
  give(wide, "115792089237316195423570985008687907853");
  CHECK(priced(huge, *huge.minus(1), wide) == "max_increase");  // what cannot be counted is more
  for (const char* bad : {"", "-1", "1e3", "100001", "1.00001", "%", "ten"}) {
    CHECK_FALSE(parse_increase(bad).has_value());
  }
}

TEST_CASE("the last price of an endpoint, from the journal") {
  test::Folder folder;
  Database database = std::move(**Database::open(folder / "state", true));
  Ledger ledger(database, folder / "state", [] { return Millis{1'800'000'000'000}; });
  const auto row_of = [](const char* id, const char* url, const char* intent, Amount amount) {
    Row row;
    row.id = id;
    row.time = 1'800'000'000'000;
    row.http_method = "GET";
    row.url = url;
    row.origin = kApi;
    row.intent = intent;
    row.paid = {amount, kUsdc};
    row.payer = kPayer;
    row.challenge = "{}";
    if (row.intent == "session") row.price = 7;
    return row;
  };
  const auto paid = [&](Row row, PaymentStatus status) {
    REQUIRE(ledger.intend(row, [] { return Result<>(); }).has_value());
    row.status = status;
    REQUIRE(ledger.answer(row, {}).has_value());
  };
  paid(row_of("01", "https://api.example.com/a?x=1", "charge", 100), PaymentStatus::settled);
  paid(row_of("02", "https://api.example.com/a", "charge", 900), PaymentStatus::rejected);
  paid(row_of("03", "https://api.example.com/b", "charge", 200), PaymentStatus::unknown);
  paid(row_of("04", "https://api.example.com/a", "session", 5'000), PaymentStatus::settled);
  const auto last = [&](const Row& row) { return *ledger.last_price(row, kUsdc); };
  CHECK(last(row_of("09", "https://api.example.com/a?y=2", "charge", 0)) == Amount(100));
  CHECK(last(row_of("09", "https://api.example.com/b", "charge", 0)) == Amount(200));
  CHECK(last(row_of("09", "https://api.example.com/c", "charge", 0)) == std::nullopt);
  CHECK(last(row_of("09", "https://api.example.com/a", "session", 0)) == Amount(7));
  CHECK(last(row_of("03", "https://api.example.com/b", "charge", 0)) == std::nullopt);  // itself
  CHECK(*ledger.last_price(row_of("09", "https://api.example.com/a", "charge", 0), kAlpha) ==
        std::nullopt);
  Row post = row_of("09", "https://api.example.com/a", "charge", 0);
  post.http_method = "POST";
  CHECK(last(post) == std::nullopt);
  CHECK(ledger.spent_today_by_origin()->size() == 4);
}

/// A file in a folder that is private, as the reader wants it.
void write(const std::string& path, const std::string& text, mode_t mode = 0600) {
  std::ofstream(path) << text;
  REQUIRE(::chmod(path.c_str(), mode) == 0);
}

TEST_CASE("a file that others can write, or that cannot be read, is not used") {
  test::Folder folder;
  const std::string path = folder / "config.toml";
  const auto message = [&](bool is_named = false) {
    const auto read = read_config({"", path, is_named});
    if (!read) CHECK(read.error().kind == Kind::usage);
    return read ? std::string() : read.error().message;
  };
  CHECK(message().empty());  // there is none
  CHECK(message(true).find("there is no config file") != std::string::npos);
  write(path, "silent = true\n");
  CHECK(message().empty());
  CHECK(read_config({"", path, false})->option("silent") != nullptr);
  for (const mode_t mode : {0620U, 0602U, 0666U}) {
    write(path, "", mode);
    CHECK(message().find("is writable by others") != std::string::npos);
  }
  write(path, "", 0644);
  CHECK(message().empty());
  REQUIRE(::chmod(folder.path().c_str(), 0720) == 0);
  CHECK(message().find("is writable by others") != std::string::npos);
  REQUIRE(::chmod(folder.path().c_str(), 0700) == 0);
  write(path, std::string((1 << 20) + 1, '#'));
  CHECK(message().find("larger than 1 MiB") != std::string::npos);
  REQUIRE(::unlink(path.c_str()) == 0);
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  CHECK(message().find("no regular file") != std::string::npos);
  REQUIRE(::unlink(path.c_str()) == 0);
  // A link is as safe as the folder that it leads to.
  REQUIRE(::mkdir((folder / "open").c_str(), 0700) == 0);
  write(folder / "open/real.toml", "");
  REQUIRE(::symlink((folder / "open/real.toml").c_str(), path.c_str()) == 0);
  CHECK(message().empty());
  REQUIRE(::chmod((folder / "open").c_str(), 0777) == 0);
  CHECK(message().find("is writable by others") != std::string::npos);
  if (::geteuid() == 0) {
    REQUIRE(::chmod((folder / "open").c_str(), 0700) == 0);
    REQUIRE(::chown((folder / "open/real.toml").c_str(), 12345, 0) == 0);
    CHECK(message().find("belongs to user 12345") != std::string::npos);
  } else {
    REQUIRE(::chmod((folder / "open").c_str(), 0700) == 0);
    // What is not root's has not the last word.
    CHECK_FALSE(read_config({folder / "open/real.toml", "", false}).has_value());
    write(folder / "open/real.toml", "", 0);
    CHECK(message().find("cannot be read") != std::string::npos);
  }
}

TEST_CASE("what stands behind a variable, and what -q skips") {
  test::Folder folder;
  const std::string path = folder / "config.toml";
  write(path,
        "network = \"testnet\"\nmethod = [\"tempo\", \"lightning\"]\naccount = \"main\"\n"
        "[host.\"*\"]\naccount = \"own\"\nallow-http = true\ndeny = true\n");
  const auto config = read_config({"", path, false});
  REQUIRE(config.has_value());
  Settings settings;
  settings.network = "mainnet";
  use_config(settings, *config, true);
  CHECK(settings.network == "mainnet");
  CHECK(settings.method == "tempo,lightning");
  CHECK(settings.usual_account == "main");
  CHECK(account_for(settings.config.rules, kApi) == "own");
  CHECK(allows_http(settings.config.rules, kApi, false));
  Settings quiet;
  use_config(quiet, *config, false);
  CHECK_FALSE(quiet.method.has_value());
  CHECK(account_for(quiet.config.rules, kApi).empty());
  CHECK_FALSE(allows_http(quiet.config.rules, kApi, false));
  CHECK(refusal(spend_of(kUsdc, 1), limits_of_files(quiet.config.rules)) == "denied");
  const std::vector<RuleFile> strict{rules("[host.\"*\"]\nallow_http = false", true)};
  CHECK_FALSE(allows_http(strict, kApi, true));
}

TEST_CASE("the example says nothing until somebody takes a # away") {
  const auto file = parse_config(example_config(), "x");
  REQUIRE(file.has_value());
  CHECK(file->entries.empty());
  std::string text(example_config());
  for (std::size_t at = 0; (at = text.find("\n# ", at)) != std::string::npos; ++at) {
    const std::size_t equals = text.find_first_of("=\n", at + 1);
    const bool is_section = text.compare(at, 4, "\n# [") == 0;
    if (is_section || text[equals] == '=') text.erase(at + 1, 2);
  }
  const auto all = parse_config(text, "x");
  REQUIRE_MESSAGE(all.has_value(), all.error().message);
  CHECK(all->entries.size() == 15);
  CHECK(rules_of(*all).has_value());
}

}  // namespace
}  // namespace paycurl
