// Limits, journal, the door to money, the spool: what decides and remembers.
#include <chrono>
#include <fstream>
#include <thread>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "src/base/text.h"
#include "tests/unit/folder.h"
#include "wallet/spender.h"
#include "wallet/spool.h"

namespace paycurl {
namespace {

const Asset kAlpha{"AlphaUSD",    6,    "0x20c0000000000000000000000000000000000001",
                   "tempo:42431", true, true};
const Asset kPath{"pathUSD",     6,    "0x20c0000000000000000000000000000000000000",
                  "tempo:42431", true, true};
const Asset kUsdc{"USDC.e", 6, "0x20c000000000000000000000b9537d11c60e8b50", "tempo:4217", true};
const Asset kNamed{"FAKE",        18,    "0x20c00000000000000000000000000000000000ff",
                   "tempo:42431", false, true};
const std::string kPayer = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const std::string kPayee = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

Spend spend_of(const Asset& asset, Amount amount, Amount fee = 0) {
  Spend spend;
  spend.total = {amount, asset};
  spend.payees = {{kPayee, amount}};
  spend.fee = {fee, asset};
  spend.payer = kPayer;
  spend.origin = "https://api.example.com";
  spend.known_asset = asset.is_dollar;
  return spend;
}

std::string refusal(const Spend& spend, const Limits& limits, const Spent& spent = {}) {
  const auto allowed = allow(spend, limits, spent);
  if (allowed) return "";
  CHECK(allowed.error().kind == Kind::declined);
  return allowed.error().reason;
}

Limits limits(const std::vector<std::string>& max_spend) {
  Limits all;
  for (const std::string& text : max_spend) {
    const Limit limit = *parse_limit(text);
    std::erase_if(all.max_spend, [&](const Limit& old) { return old.unit == limit.unit; });
    all.max_spend.push_back(limit);
  }
  return all;
}

TEST_CASE("the default limit is one dollar, to the base unit") {
  CHECK(refusal(spend_of(kAlpha, 1'000'000), {}).empty());
  CHECK(refusal(spend_of(kAlpha, 1'000'001), {}) == "max_spend");
  CHECK(refusal(spend_of(kAlpha, 0), {}).empty());
  const Amount max = *Amount::parse(
      "115792089237316195423570985008687907853269984665640564039457584007913129639935");
  CHECK(refusal(spend_of(kAlpha, max), {}) == "max_spend");
  CHECK(refusal(spend_of(kAlpha, *max.minus(1)), limits({"1000000"})) == "max_spend");
}

TEST_CASE("what was signed in the run counts, across dollar tokens") {
  const Spent spent{{{900'000, kPath}}, {}};
  CHECK(refusal(spend_of(kAlpha, 100'000), {}, spent).empty());
  CHECK(refusal(spend_of(kAlpha, 100'001), {}, spent) == "max_spend");
  const auto budget = run_budget(kAlpha, {}, spent);
  REQUIRE(budget.has_value());
  CHECK(budget->limit == Amount(1'000'000));
  CHECK(budget->left == Amount(100'000));
}

TEST_CASE("a zero limit leaves proofs") {
  CHECK(refusal(spend_of(kAlpha, 0), limits({"0"})).empty());
  CHECK(refusal(spend_of(kAlpha, 1), limits({"0"})) == "max_spend");
}

TEST_CASE("a token that the user named needs a limit of its own") {
  const Amount one = *Amount::parse("1000000000000000000");
  CHECK(refusal(spend_of(kNamed, 1), {}) == "max_spend");
  CHECK(refusal(spend_of(kNamed, one), limits({"1:" + kNamed.token})).empty());
  CHECK(refusal(spend_of(kNamed, *one.plus(1)), limits({"1:" + kNamed.token})) == "max_spend");
  // Its symbol is whatever somebody called it: it opens nothing.
  CHECK(refusal(spend_of(kNamed, 1), limits({"1:FAKE"})) == "max_spend");
  Asset impostor = kNamed;
  impostor.symbol = "USDC.e";
  CHECK(refusal(spend_of(impostor, 1), limits({"100:USDC.e"})) == "max_spend");
}

TEST_CASE("a limit on a token replaces the general one for it") {
  CHECK(refusal(spend_of(kAlpha, 5'000'000), limits({"5:AlphaUSD"})).empty());
  CHECK(refusal(spend_of(kPath, 5'000'000), limits({"5:AlphaUSD"})) == "max_spend");
  CHECK(refusal(spend_of(kAlpha, 20'000), limits({"0.01:" + kAlpha.token})) == "max_spend");
}

TEST_CASE("ten dollars a day of real money") {
  const Spent spent{{}, {{9'500'000, kUsdc}}};
  CHECK(refusal(spend_of(kUsdc, 500'000), {}, spent).empty());
  CHECK(refusal(spend_of(kUsdc, 500'001), {}, spent) == "per_day");
  CHECK(refusal(spend_of(kAlpha, 1'000'000), {}, {{}, {{99'000'000, kAlpha}}}).empty());
  CHECK(refusal(spend_of(kUsdc, 20'000), {}, {{}, {{9'990'000, kAlpha}}}).empty());
}

TEST_CASE("a swap costs what leaves the payer at most") {
  Spend spend = spend_of(kAlpha, 900'000);
  spend.swap = Money{1'000'000, kPath};
  CHECK(refusal(spend, {}).empty());
  CHECK(refusal(spend, {}, {{{1, kPath}}, {}}) == "max_spend");
  spend.swap = Money{1'000'001, kPath};
  CHECK(refusal(spend, {}) == "max_spend");
  CHECK(refusal(spend, limits({"0.5:pathUSD"})) == "max_spend");
  CHECK(refusal(spend, limits({"5:pathUSD"})).empty());
  // A price that is too good to be true does not help over the limit on what is paid.
  spend = spend_of(kAlpha, 1'000'001);
  spend.swap = Money{1, kPath};
  CHECK(refusal(spend, {}) == "max_spend");
  // A token that the user named needs its limit as ever.
  spend = spend_of(kAlpha, 10'000);
  spend.swap = Money{10'000, kNamed};
  CHECK(refusal(spend, {}) == "max_spend");
  CHECK(refusal(spend, limits({"1:" + kNamed.token})).empty());
  // Real money, a day's limit: 9.5 dollars are gone.
  spend = spend_of(kUsdc, 400'000);
  const Asset path{"pathUSD", 6, kPath.token, "tempo:4217", true};
  spend.swap = Money{500'000, path};
  const Spent spent{{}, {{9'500'000, kUsdc}}};
  CHECK(refusal(spend, {}, spent).empty());
  spend.swap->amount = 500'001;
  CHECK(refusal(spend, {}, spent) == "per_day");
}

TEST_CASE("what a swapped payment counts as") {
  const auto sum = [](const Money& total, const Money& swap, const std::vector<Limit>& by = {}) {
    std::string text;
    for (const Money& part : counted(total, swap, by)) {
      text += (text.empty() ? "" : " + ") + describe(part);
    }
    return text;
  };
  CHECK(counted({5, kAlpha}, std::nullopt, {}).size() == 1);
  CHECK(sum({10'000, kAlpha}, {10'102, kPath}) == "0.01 AlphaUSD + 0.000102 pathUSD");
  CHECK(sum({10'000, kAlpha}, {9'000, kPath}) == "0.01 AlphaUSD");
  // A limit of the token that is swapped sees all of it.
  const std::string both = "0.01 AlphaUSD + 0.010102 pathUSD";
  CHECK(sum({10'000, kAlpha}, {10'102, kPath}, limits({"1:pathUSD"}).max_spend) == both);
  CHECK(sum({10'000, kAlpha}, {10'102, kPath}, limits({"1:AlphaUSD"}).max_spend) != both);
  CHECK(sum({10'000, kAlpha}, {7, kNamed}) == "0.01 AlphaUSD + 0.000000000000000007 FAKE");
}

TEST_CASE("the network fee has its own limit") {
  CHECK(refusal(spend_of(kAlpha, 1, 20'000), {}).empty());
  CHECK(refusal(spend_of(kAlpha, 1, 20'001), {}) == "max_fee");
  Limits more;
  more.max_fee = {*parse_limit("0.05")};
  CHECK(refusal(spend_of(kAlpha, 1, 20'001), more).empty());
  CHECK(refusal(spend_of(kNamed, 1, 1), limits({"1:" + kNamed.token})) == "max_fee");
}

TEST_CASE("payees that would burn or return the money") {
  for (const std::string& payee : {std::string("0x0000000000000000000000000000000000000000"),
                                   kPayer, lower(kPayer), kAlpha.token}) {
    Spend spend = spend_of(kAlpha, 10);
    spend.payees[0].address = payee;
    CHECK(refusal(spend, {}) == "recipient");
    spend = spend_of(kAlpha, 10);
    spend.payees = {{kPayee, 5}, {payee, 5}};
    CHECK(refusal(spend, {}) == "recipient");
  }
  Spend wrong = spend_of(kAlpha, 10);
  wrong.payees[0].amount = 9;
  CHECK(allow(wrong, {}, {}).error().kind == Kind::internal);
}

TEST_CASE("expectations") {
  const auto with = [](const std::string& amount, const std::string& recipient,
                       const std::string& currency) {
    Limits limits;
    if (!amount.empty()) REQUIRE(parse_expected_amount(amount, limits.expected).has_value());
    if (!recipient.empty()) limits.expected.recipient = recipient;
    if (!currency.empty()) limits.expected.currency = currency;
    return refusal(spend_of(kAlpha, 10'000), limits);
  };
  CHECK(with("0.01", "", "").empty());
  CHECK(with("0.0100", "", "").empty());
  CHECK(with("0.02", "", "") == "expect_amount");
  CHECK(with("<=0.02", "", "").empty());
  CHECK(with("<=0.009999", "", "") == "expect_amount");
  CHECK(with("", kPayee, "").empty());
  CHECK(with("", kPayer, "") == "expect_recipient");
  Limits only;
  only.expected.recipient = kPayee;
  Spend split = spend_of(kAlpha, 10'000);
  split.payees = {{kPayee, 1}, {"0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", 9'999}};
  CHECK(refusal(split, only) == "expect_recipient");
  CHECK(with("", "", "alphausd").empty());
  CHECK(with("", "", kAlpha.token).empty());
  CHECK(with("", "", "pathUSD") == "expect_currency");
  Expectations expected;
  for (const char* text : {"", "x", "-1", "<0.01", ">=1", "1e3"}) {
    CHECK_FALSE(parse_expected_amount(text, expected).has_value());
  }
}

TEST_CASE("limits as people write them") {
  CHECK(parse_limit("0.05")->unit == "usd");
  CHECK(parse_limit("1000sat")->unit == "sat");
  CHECK(parse_limit("5:0xabc")->unit == "0xabc");
  for (const char* text :
       {"", "x", "-1", "1.5sat", "sat", "5:", ":x", "5:usd", "1e9", "0x10", "5 "}) {
    CAPTURE(text);
    CHECK_FALSE(parse_limit(text).has_value());
  }
}

/// A journal in a folder of its own, with a clock that tests turn.
struct Journal {
  test::Folder folder;
  Millis now = 1'800'000'000'000;
  Database database;
  Ledger ledger;
  Channels channels;
  Journal()
      : database(std::move(**Database::open(folder / "state", true))),
        ledger(database, folder / "state", [this] { return now; }),
        channels(database, folder / "state", [this] { return now; }) {}
};

Row row_of(const std::string& id, Amount amount = 10'000, const Asset& asset = kAlpha) {
  Row row;
  row.id = id;
  row.time = 1'800'000'000'000;
  row.valid_until = row.time + 25'000;
  row.identity = "same";
  row.http_method = "POST";
  row.url = "https://api.example.com/x";
  row.origin = "https://api.example.com";
  row.digest = "sha-256=:x:";
  row.request = RecordedRequest{{{"X-A", "1"}}, {"User-Agent"}, std::string("a\0b", 3), true};
  row.idempotency_key = id;
  row.protocol = "mpp";
  row.method = "tempo";
  row.intent = "charge";
  row.paid = {amount, asset};
  row.payer = kPayer;
  row.account = "main";
  row.challenge_id = "c";
  row.challenge = "{}";
  return row;
}

const auto kAnything = [] { return Result<>(); };

TEST_CASE("a row lives from intent to delivery and forgets what it no longer needs") {
  Journal j;
  Row row = row_of("01aaa");
  REQUIRE(j.ledger.intend(row, kAnything).has_value());
  CHECK(j.ledger.find("last")->status == PaymentStatus::not_sent);
  REQUIRE(j.ledger.sign(row.seq, "d1", "{\"type\":\"x\"}", std::string("0xhash")).has_value());
  Row found = *j.ledger.find("01a");
  CHECK(found.status == PaymentStatus::unknown);
  CHECK(*found.rebuild == "{\"type\":\"x\"}");
  CHECK(*found.request->body == std::string("a\0b", 3));
  CHECK(found.request->headers[0].second == "1");
  CHECK(found.request->removed_headers[0] == "User-Agent");
  CHECK(found.request->complete);
  CHECK(*found.reference == "0xhash");
  found.status = PaymentStatus::settled;
  found.http_status = 200;
  REQUIRE(j.ledger.answer(found, {{1, "sent"}, {2, "answered"}}).has_value());
  found = *j.ledger.find("01aaa");
  CHECK(found.status == PaymentStatus::settled);
  CHECK_FALSE(found.rebuild.has_value());
  CHECK_FALSE(found.request.has_value());
  CHECK(*found.http_status == 200);
  const auto& events = found.events;
  REQUIRE(events.size() == 4);
  CHECK(events[0].state == "intent");
  CHECK(events[1].state == "signed");
  CHECK(events[3].state == "answered");
}

TEST_CASE("IDs may be shortened as long as they are unique") {
  Journal j;
  for (const char* id : {"01aab", "01abb"}) {
    Row row = row_of(id);
    REQUIRE(j.ledger.intend(row, kAnything).has_value());
  }
  CHECK(j.ledger.find("01AA")->id == "01aab");
  CHECK(j.ledger.find("last")->id == "01abb");
  CHECK(j.ledger.find("01a").error().kind == Kind::usage);
  CHECK(j.ledger.find("99").error().kind == Kind::usage);
  CHECK(j.ledger.find("%").error().kind == Kind::usage);
  const std::string id = new_payment_id(1'800'000'000'000);
  CHECK(id.size() == 26);
  CHECK(new_payment_id(1'800'000'000'001) > id);
  CHECK(new_payment_id(1'800'000'000'000) != id);
}

TEST_CASE("a payment in flight is nobody else's, a dead one is in doubt") {
  Journal j;
  Row row = row_of("01a");
  const pid_t child = ::fork();
  if (child == 0) {
    Database database = std::move(**Database::open(j.folder / "state", false));
    Ledger ledger(database, j.folder / "state", [&] { return j.now; });
    const bool fine =
        ledger.intend(row, kAnything) && ledger.sign(row.seq, "d", "{}", std::nullopt);
    ::kill(::getpid(), fine ? SIGSTOP : SIGKILL);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, WUNTRACED) == child);
  REQUIRE(WIFSTOPPED(status));
  CHECK(j.ledger.in_doubt("same")->empty());  // the child is alive
  const auto seq = j.ledger.find("last")->seq;
  CHECK_FALSE(j.ledger.claim(seq));
  ::kill(child, SIGKILL);
  ::waitpid(child, &status, 0);
  REQUIRE(j.ledger.in_doubt("same")->size() == 1);
  CHECK(j.ledger.in_doubt("other")->empty());
  CHECK(j.ledger.in_doubt()->size() == 1);
  CHECK(j.ledger.claim(seq));
  // A row that was only intended moved nothing: it is in no doubt.
  Row second = row_of("01b");
  REQUIRE(j.ledger.intend(second, kAnything).has_value());
  j.ledger.release(second.seq);
  CHECK(j.ledger.in_doubt("same")->size() == 1);
}

// The kernel takes a dying process's lock on the database before its lock on the row.
TEST_CASE("a row's number that a dying process still holds is waited for") {
  Journal j;
  const int dying = ::open((j.folder / "state/payments.lock").c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(dying >= 0);
  struct flock first {};
  first.l_type = F_WRLCK;
  first.l_whence = SEEK_SET;
  first.l_start = 1;
  first.l_len = 1;
  REQUIRE(::fcntl(dying, F_OFD_SETLK, &first) == 0);
  std::thread death([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ::close(dying);
  });
  Row row = row_of("01a");
  const auto intended = j.ledger.intend(row, kAnything);
  death.join();
  REQUIRE(intended.has_value());
  CHECK(row.seq == 1);
}

TEST_CASE("what was spent today") {
  Journal j;
  const auto spend = [&](const char* id, PaymentStatus status, std::optional<std::int64_t> error) {
    Row row = row_of(id);
    row.time = j.now;
    REQUIRE(j.ledger.intend(row, kAnything).has_value());
    row.status = status;
    row.error_code = error;
    REQUIRE(j.ledger.answer(row, {}).has_value());
  };
  const auto total = [&] {
    const auto today = *j.ledger.spent_today(kPayer);
    return today.empty() ? std::string("0") : today[0].amount.decimal();
  };
  spend("01", PaymentStatus::settled, {});
  spend("02", PaymentStatus::unknown, 107);
  spend("03", PaymentStatus::rejected, 100);  // the server may have lied
  CHECK(total() == "30000");
  spend("04", PaymentStatus::not_sent, 102);
  CHECK(total() == "30000");
  spend("05", PaymentStatus::not_sent, {});  // another process may sign it any moment
  CHECK(total() == "40000");
  j.now += 61'000;
  CHECK(total() == "30000");
  j.now += 24 * 3600 * 1000;
  CHECK(total() == "0");
}

TEST_CASE("what a swap lost today counts, and the row tells of it") {
  Journal j;
  Row row = row_of("01");
  row.time = j.now;
  row.swap = Money{15'000, kPath};
  REQUIRE(j.ledger.intend(row, kAnything).has_value());
  const auto today = *j.ledger.spent_today(kPayer);
  REQUIRE(today.size() == 2);
  CHECK(describe(today[0]) == "0.01 AlphaUSD");
  CHECK(describe(today[1]) == "0.005 pathUSD");
  const Row kept = *j.ledger.find("01");
  REQUIRE(kept.swap.has_value());
  CHECK(kept.swap->amount == Amount(15'000));
  CHECK(kept.swap->asset == kPath);
  CHECK(kept.given().asset == kPath);
}

TEST_CASE("two processes cannot both take the last of a day's limit") {
  Journal j;
  const Limits limits;
  const auto intend = [&](Ledger& ledger, const char* id) {
    Row row = row_of(id, 6'000'000, kUsdc);
    Limits wide = limits;
    wide.max_spend = {*parse_limit("100")};
    return ledger.intend(row, [&] {
      return allow(spend_of(kUsdc, 6'000'000), wide, {{}, *ledger.spent_today(kPayer)});
    });
  };
  Database other = std::move(**Database::open(j.folder / "state", false));
  Ledger second(other, j.folder / "state", [&] { return j.now; });
  CHECK(intend(j.ledger, "01").has_value());
  const auto refused = intend(second, "02");
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().reason == "per_day");
  CHECK(j.ledger.list({})->size() == 1);
}

TEST_CASE("lists are filtered and newest first") {
  Journal j;
  for (int i = 0; i < 5; ++i) {
    Row row = row_of("0" + std::to_string(i));
    row.time += i * 1000;
    row.origin = i % 2 == 0 ? "https://a.example" : "https://b.example:8443";
    row.account = i == 3 ? "ci" : "main";
    REQUIRE(j.ledger.intend(row, kAnything).has_value());
  }
  CHECK(j.ledger.list({})->front().id == "04");
  LedgerFilter filter;
  filter.limit = 2;
  CHECK(j.ledger.list(filter)->size() == 2);
  filter = {};
  filter.host = "B.example";
  CHECK(j.ledger.list(filter)->size() == 2);
  filter = {};
  filter.account = "ci";
  CHECK(j.ledger.list(filter)->size() == 1);
  filter = {};
  filter.since = 1'800'000'003'000;
  CHECK(j.ledger.list(filter)->size() == 2);
  filter = {};
  filter.status = "settled";
  CHECK(j.ledger.list(filter)->empty());
}

TEST_CASE("processes that make the journal at the same moment all get it") {
  for (int round = 0; round < 40; ++round) {
    const test::Folder folder;
    int gate[2];
    REQUIRE(::pipe(gate) == 0);
    std::vector<pid_t> children;
    for (int i = 0; i < 8; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        char byte = 0;
        ::close(gate[1]);
        (void)!::read(gate[0], &byte, 1);
        ::_exit(Database::open(folder / "state", true).has_value() ? 0 : 1);
      }
      children.push_back(child);
    }
    ::close(gate[0]);
    ::close(gate[1]);
    for (const pid_t child : children) {
      int status = -1;
      ::waitpid(child, &status, 0);
      CHECK(status == 0);
    }
  }
}

TEST_CASE("the state folder is private, and anything else is refused") {
  test::Folder folder;
  const std::string state = folder / "a/b/state";
  REQUIRE(Database::open(state, true).has_value());
  struct stat status {};
  REQUIRE(::stat(state.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
  REQUIRE(::stat((state + "/paycurl.db").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  CHECK_FALSE(Database::open(folder / "nothing", false)->has_value());
  ::chmod(state.c_str(), 0777);
  CHECK_FALSE(Database::open(state, true).has_value());
  ::chmod(state.c_str(), 0700);
  ::chmod((state + "/paycurl.db").c_str(), 0622);
  CHECK_FALSE(Database::open(state, true).has_value());
  ::unlink((state + "/paycurl.db").c_str());
  REQUIRE(::symlink("/tmp/elsewhere", (state + "/paycurl.db").c_str()) == 0);
  CHECK_FALSE(Database::open(state, true).has_value());
  ::unlink((state + "/paycurl.db").c_str());
  REQUIRE(::symlink("paycurl.db", (state + "/paycurl.db").c_str()) == 0);
  CHECK_FALSE(Database::open(state, false).has_value());  // it cannot be said that there is none
  ::unlink((state + "/paycurl.db").c_str());
  REQUIRE(::mkfifo((state + "/paycurl.db").c_str(), 0600) == 0);
  CHECK_FALSE(Database::open(state, true).has_value());
}

TEST_CASE("a database that is newer, damaged or none is left alone") {
  test::Folder folder;
  const std::string state = folder / "state";
  {
    auto database = *Database::open(state, true);
    REQUIRE(database->run("PRAGMA user_version=99").has_value());
  }
  const auto newer = Database::open(state, true);
  REQUIRE_FALSE(newer.has_value());
  CHECK(newer.error().message.find("newer") != std::string::npos);
  std::ofstream(state + "/paycurl.db") << std::string(5000, 'x');
  CHECK_FALSE(Database::open(state, true).has_value());
}

TEST_CASE("the door: no signature without limits, row and the right digest") {
  Journal j;
  const PrivateKey key = PrivateKey::generate();
  const std::string address = key.address().checksummed();
  const Limits limits;
  int opened = 0;
  Spender spender(j.ledger, j.channels, limits, {"main", address},
                  PayerSource{[&]() -> Result<PrivateKey> {
                                ++opened;
                                return PrivateKey::parse(key.hex().text());
                              },
                              {}},
                  [&] { return j.now; });
  Row row = row_of("01a");
  row.payer = address;
  spender.begin(row);
  Spend spend = spend_of(kAlpha, 2'000'000);
  spend.payer = address;
  spend.attempt = "01a";
  spend.valid_until = j.now + 25'000;
  CHECK(spender.allow(spend).error().reason == "max_spend");
  CHECK(j.ledger.list({})->empty());
  CHECK(opened == 0);
  spend = spend_of(kAlpha, 600'000);
  spend.payer = address;
  spend.attempt = "other";
  CHECK(spender.allow(spend).error().kind == Kind::internal);
  spend.attempt = "01a";
  spend.valid_until = j.now + 25'000;
  auto permit = spender.allow(spend);
  REQUIRE(permit.has_value());
  Digest digest{};
  digest[0] = 7;
  const auto signature = spender.sign(std::move(*permit), digest, "{}", nullptr);
  REQUIRE(signature.has_value());
  CHECK(*recover(digest, *signature) == key.address());
  CHECK(j.ledger.find("01a")->status == PaymentStatus::unknown);
  // The same bytes again, and nothing else.
  CHECK(spender.sign_again(*j.ledger.find("01a"), digest)->bytes() == signature->bytes());
  digest[0] = 8;
  CHECK_FALSE(spender.sign_again(*j.ledger.find("01a"), digest).has_value());
  // 0.60 is signed: another 0.60 is over the run's limit.
  row.id = spend.attempt = "01b";
  spender.begin(row);
  CHECK(spender.allow(spend).error().reason == "max_spend");
  CHECK(opened == 1);
}

TEST_CASE("an offer that expired while we waited is not signed") {
  Journal j;
  const PrivateKey key = PrivateKey::generate();
  const Limits limits;
  Row row = row_of("01a");
  row.payer = key.address().checksummed();
  Spender spender(j.ledger, j.channels, limits, {"main", row.payer},
                  PayerSource{[&] { return PrivateKey::parse(key.hex().text()); }, {}},
                  [&] { return j.now; });
  spender.begin(row);
  Spend spend = spend_of(kAlpha, 1);
  spend.payer = row.payer;
  spend.attempt = "01a";
  spend.valid_until = j.now + 25'000;
  auto permit = spender.allow(spend);
  REQUIRE(permit.has_value());
  j.now += 25'000;
  CHECK(spender.sign(std::move(*permit), Digest{}, "{}", nullptr).error().reason == "expired");
  CHECK(j.ledger.find("01a")->status == PaymentStatus::not_sent);
}

TEST_CASE("another key than the payer's is refused") {
  Journal j;
  const Limits limits;
  Spender spender(j.ledger, j.channels, limits, {"main", kPayer},
                  PayerSource{[] { return Result<PrivateKey>(PrivateKey::generate()); }, {}},
                  [&] { return j.now; });
  CHECK(spender.unlock().error().reason == "ambiguous");
}

TEST_CASE("bodies are kept, up to a size and an age") {
  test::Folder folder;
  const std::string state = folder / "state";
  {
    auto spool = *Spool::create(state, "01a");
    spool.write("hello");
    CHECK(spool.keep(system_now()) == 5);
  }
  const auto fd = Spool::open(state, "01a");
  REQUIRE(fd.has_value());
  char text[8] = {};
  CHECK(::read(*fd, text, sizeof text) == 5);
  CHECK(std::string(text) == "hello");
  ::close(*fd);
  {
    auto dropped = *Spool::create(state, "01b");
    dropped.write("x");
  }
  CHECK(Spool::open(state, "01b").error().kind == Kind::usage);
  {
    auto large = *Spool::create(state, "01c");
    const std::string megabyte(1 << 20, 'x');
    for (int i = 0; i < 17; ++i)
      large.write(megabyte);
    CHECK_FALSE(large.keep(system_now()).has_value());
  }
  CHECK_FALSE(Spool::open(state, "01c").has_value());
  {
    auto late = *Spool::create(state, "010");
    CHECK(late.keep(system_now() + 25 * 3600 * 1000) == 0);
  }
  CHECK_FALSE(Spool::open(state, "01a").has_value());
}

}  // namespace
}  // namespace paycurl
