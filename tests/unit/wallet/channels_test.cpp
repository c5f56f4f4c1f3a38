// Channels and offers as the journal keeps them, their lock, and what limits say about deposits.
#include "wallet/channels.h"

#include <doctest/doctest.h>
#include <sqlite3.h>

#include "tests/unit/folder.h"
#include "wallet/spender.h"

namespace paycurl {
namespace {

using std::chrono::milliseconds;

const Asset kAlpha{"AlphaUSD",    6,    "0x20c0000000000000000000000000000000000001",
                   "tempo:42431", true, true};
const Asset kNamed{"FAKE",        6,     "0x20c00000000000000000000000000000000000ff",
                   "tempo:42431", false, true};
const std::string kPayer = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const std::string kPayee = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

struct World {
  test::Folder folder;
  Millis now = 1'800'000'000'000;
  Database database = std::move(**Database::open(folder / "state", true));
  Channels channels{database, folder / "state", [this] { return now; }};
};

Channel channel_of(const std::string& id, const std::string& scope = "s") {
  Channel channel;
  channel.id = id;
  channel.scope = scope;
  channel.status = ChannelStatus::open;
  channel.method = "tempo";
  channel.origin = "https://api.example.com";
  channel.url = "https://api.example.com/x?y";
  channel.payer = kPayer;
  channel.payee = kPayee;
  channel.account = "main";
  channel.escrow = "0x4D50500000000000000000000000000000000000";
  channel.descriptor = "{}";
  channel.opening = "0x76";
  channel.opening_until = 7;
  channel.asset = kAlpha;
  channel.deposit = Amount(1'000);
  channel.signed_amount = Amount(300);
  channel.accepted = Amount(200);
  channel.spent = Amount(100);
  channel.units = 3;
  channel.opened = 1;
  channel.used = 2;
  channel.withdrawable = 9;
  return channel;
}

bool same(const Channel& a, const Channel& b) {
  return a.seq == b.seq && a.id == b.id && a.scope == b.scope && a.status == b.status &&
         a.method == b.method && a.origin == b.origin && a.url == b.url && a.payer == b.payer &&
         a.payee == b.payee && a.account == b.account && a.escrow == b.escrow &&
         a.descriptor == b.descriptor && a.opening == b.opening &&
         a.opening_until == b.opening_until && a.asset == b.asset && a.deposit == b.deposit &&
         a.signed_amount == b.signed_amount && a.accepted == b.accepted && a.spent == b.spent &&
         a.units == b.units && a.opened == b.opened && a.used == b.used &&
         a.withdrawable == b.withdrawable && a.source == b.source;
}

TEST_CASE("channels come back as they were written") {
  World world;
  Channel channel = channel_of("0xaa01");
  REQUIRE(world.channels.insert(channel).has_value());
  CHECK(channel.seq > 0);
  CHECK(same(*world.channels.find("0xaa01"), channel));
  CHECK(channel.remaining() == Amount(900));
  // What may change, and what may not.
  Channel changed = channel;
  changed.id = "0xother";
  changed.scope = changed.payer = "other";
  changed.signed_amount = Amount(1);
  changed.status = ChannelStatus::closing;
  changed.origin = "https://other.example.com";
  changed.url = "https://other.example.com/";
  changed.account = "second";
  changed.opening.clear();
  changed.opening_until = 0;
  changed.deposit = Amount(2'000);
  changed.accepted = Amount(250);
  changed.spent = Amount(220);
  changed.units = 4;
  changed.withdrawable.reset();
  changed.source = "chain";
  REQUIRE(world.channels.save(changed).has_value());
  changed.id = channel.id;
  changed.scope = channel.scope;
  changed.payer = channel.payer;
  changed.signed_amount = channel.signed_amount;
  CHECK(same(*world.channels.find("last"), changed));
  changed.spent = Amount(230);
  REQUIRE(world.channels.save_lightly(changed).has_value());
  CHECK(same(*world.channels.find("last"), changed));
  CHECK_FALSE(world.channels.insert(channel).has_value());  // one row for one id
  REQUIRE(world.channels.forget(channel).has_value());
  CHECK(world.channels.list(true)->empty());
}

TEST_CASE("channels are found by their beginnings") {
  World world;
  CHECK(world.channels.find("last").error().kind == Kind::usage);
  for (const char* id : {"0xaa01", "0xaa02", "0xbb01"}) {
    Channel channel = channel_of(id);
    REQUIRE(world.channels.insert(channel).has_value());
  }
  CHECK(world.channels.find("0xbb")->id == "0xbb01");
  CHECK(world.channels.find("0xAA01")->id == "0xaa01");
  CHECK(world.channels.find("last")->id == "0xbb01");
  CHECK(world.channels.find("0xaa").error().kind == Kind::usage);
  CHECK(world.channels.find("0xcc").error().kind == Kind::usage);
  CHECK(world.channels.find("%").error().kind == Kind::usage);
}

TEST_CASE("the newest channel that is in use serves its scope") {
  World world;
  CHECK_FALSE(world.channels.current("s")->has_value());
  for (const auto status : {ChannelStatus::open, ChannelStatus::opening, ChannelStatus::closing,
                            ChannelStatus::closed, ChannelStatus::lost}) {
    Channel channel = channel_of("0x" + std::string(name_of(status)));
    channel.status = status;
    REQUIRE(world.channels.insert(channel).has_value());
  }
  Channel other = channel_of("0xother", "t");
  REQUIRE(world.channels.insert(other).has_value());
  CHECK((*world.channels.current("s"))->id == "0xopening");
  CHECK((*world.channels.current("t"))->id == "0xother");
  CHECK_FALSE(world.channels.current("u")->has_value());
  CHECK(world.channels.list(true)->size() == 6);
  const auto in_use = *world.channels.list(false);
  REQUIRE(in_use.size() == 5);  // a lost one may still hold money
  CHECK(in_use.front().id == "0xother");
  CHECK(in_use.back().id == "0xopen");
}

TEST_CASE("what was signed only rises, from what was read") {
  World world;
  Channel channel = channel_of("0xaa01");
  REQUIRE(world.channels.insert(channel).has_value());
  Channel stale = channel;
  world.now = 1'900'000'000'000;
  REQUIRE(world.channels.raise_signed(channel, Amount(301)).has_value());
  CHECK(channel.signed_amount == Amount(301));
  CHECK(world.channels.find("last")->signed_amount == Amount(301));
  CHECK(world.channels.find("last")->used == world.now);
  CHECK(world.channels.raise_signed(channel, Amount(301)).has_value());
  const auto lower = world.channels.raise_signed(channel, Amount(300));
  REQUIRE_FALSE(lower.has_value());
  CHECK(lower.error().kind == Kind::internal);
  const auto raced = world.channels.raise_signed(stale, Amount(500));
  REQUIRE_FALSE(raced.has_value());
  CHECK(raced.error().kind == Kind::session);
  CHECK(raced.error().reason == "stale");
  CHECK(stale.signed_amount == Amount(300));
  CHECK(world.channels.find("last")->signed_amount == Amount(301));
  // Numbers that text would order otherwise.
  REQUIRE(world.channels.raise_signed(channel, Amount(1'000)).has_value());
  CHECK_FALSE(world.channels.raise_signed(channel, Amount(999)).has_value());
}

TEST_CASE("several changes are one") {
  World world;
  Channel channel = channel_of("0xaa01");
  const auto failed = world.channels.together([&]() -> Result<> {
    REQUIRE(world.channels.insert(channel).has_value());
    return Error{Kind::internal, "no"};
  });
  CHECK_FALSE(failed.has_value());
  CHECK(world.channels.list(true)->empty());
  CHECK(world.channels.together([&] { return world.channels.insert(channel); }).has_value());
  CHECK(world.channels.list(true)->size() == 1);
}

TEST_CASE("one at a time on a scope") {
  World world;
  Channels other(world.database, world.folder / "state", [&] { return world.now; });
  auto mine = world.channels.lock("s", milliseconds(0));
  REQUIRE(mine.has_value());
  CHECK(mine->is_held());
  const auto busy = other.lock("s", milliseconds(2));
  REQUIRE_FALSE(busy.has_value());
  CHECK(busy.error().kind == Kind::session);
  CHECK(busy.error().reason == "busy");
  CHECK(other.lock("t", milliseconds(0)).has_value());
  mine->release();
  CHECK_FALSE(mine->is_held());
  {
    auto theirs = other.lock("s", milliseconds(0));
    REQUIRE(theirs.has_value());
    const ChannelLock moved = std::move(*theirs);
    CHECK_FALSE(theirs->is_held());
    CHECK_FALSE(world.channels.lock("s", milliseconds(0)).has_value());
  }
  auto again = world.channels.lock("s", milliseconds(0));
  REQUIRE(again.has_value());
  *again = ChannelLock();
  CHECK(other.lock("s", milliseconds(0)).has_value());
}

TEST_CASE("offers are remembered until they expire") {
  World world;
  const std::string endpoint = "GET https://api.example.com/x";
  CHECK_FALSE(world.channels.offer(endpoint)->has_value());
  REQUIRE(world.channels.remember_offer(endpoint, {"mpp", "{\"id\":1}", world.now + 10, -5})
              .has_value());
  REQUIRE(world.channels.remember_offer(endpoint, {"mpp", "{\"id\":2}", world.now + 10, -5})
              .has_value());
  const auto found = *world.channels.offer(endpoint);
  REQUIRE(found.has_value());
  CHECK(found->protocol == "mpp");
  CHECK(found->challenge == "{\"id\":2}");
  CHECK(found->expires == world.now + 10);
  CHECK(found->clock_offset == -5);
  world.now += 11;  // the next one that is written sweeps
  REQUIRE(world.channels.remember_offer("POST https://b/", {"mpp", "{}", world.now + 1, 0})
              .has_value());
  CHECK_FALSE(world.channels.offer(endpoint)->has_value());
  REQUIRE(world.channels.forget_offer("POST https://b/").has_value());
  CHECK_FALSE(world.channels.offer("POST https://b/")->has_value());
}

// ---- databases of earlier versions

// The first version's tables, as they were released.
constexpr const char* kVersion1 = R"sql(
  CREATE TABLE payments (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    time INTEGER NOT NULL,
    status TEXT NOT NULL,
    valid_until INTEGER NOT NULL,
    identity TEXT NOT NULL,
    http_method TEXT NOT NULL,
    url TEXT NOT NULL,
    origin TEXT NOT NULL,
    digest TEXT NOT NULL,
    request TEXT,
    idempotency_key TEXT NOT NULL,
    protocol TEXT NOT NULL,
    method TEXT NOT NULL,
    intent TEXT NOT NULL,
    amount TEXT NOT NULL,
    symbol TEXT NOT NULL,
    decimals INTEGER NOT NULL,
    token TEXT NOT NULL,
    network TEXT NOT NULL,
    is_dollar INTEGER NOT NULL,
    is_test INTEGER NOT NULL,
    fee TEXT NOT NULL,
    recipient TEXT NOT NULL,
    payer TEXT NOT NULL,
    account TEXT NOT NULL,
    challenge_id TEXT NOT NULL,
    challenge TEXT NOT NULL,
    rebuild TEXT,
    signed_digest TEXT,
    reference TEXT,
    receipt TEXT,
    http_status INTEGER,
    error_code INTEGER,
    once TEXT,
    session TEXT,
    body_size INTEGER,
    body_type TEXT,
    body_expires INTEGER,
    events TEXT NOT NULL
  );
  CREATE INDEX payments_in_doubt ON payments (seq) WHERE status = 'unknown';
  CREATE INDEX payments_by_time ON payments (time);
  CREATE TABLE accounts (
    name TEXT PRIMARY KEY,
    method TEXT NOT NULL,
    address TEXT NOT NULL,
    source TEXT NOT NULL,
    is_default INTEGER NOT NULL,
    created INTEGER NOT NULL
  );
)sql";

TEST_CASE("a journal of the first version keeps its payments and gets channels") {
  const test::Folder folder;
  REQUIRE(make_private_folder(folder / "state").has_value());
  sqlite3* handle = nullptr;
  REQUIRE(sqlite3_open((folder / "state/paycurl.db").c_str(), &handle) == SQLITE_OK);
  const auto run = [&](const std::string& sql) {
    CHECK(sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
  };
  run("PRAGMA journal_mode=WAL");
  run(kVersion1);
  run("INSERT INTO payments (id, time, status, valid_until, identity, http_method, url, origin, "
      "digest, idempotency_key, protocol, method, intent, amount, symbol, decimals, token, "
      "network, is_dollar, is_test, fee, recipient, payer, account, challenge_id, challenge, "
      "events) VALUES ('old', 1, 'settled', 2, 'i', 'GET', 'u', 'o', '', '', 'mpp', 'tempo', "
      "'charge', '10000', 'AlphaUSD', 6, 't', 'tempo:42431', 1, 1, '0', 'r', 'p', 'a', 'c', '{}', "
      "'')");
  run("PRAGMA user_version=1");
  sqlite3_close(handle);
  for (int time = 0; time < 2; ++time) {  // the second finds it done
    auto database = Database::open(folder / "state", false);
    REQUIRE(database.has_value());
    REQUIRE(database->has_value());
    auto version = (*database)->prepare("PRAGMA user_version");
    REQUIRE(version->step().has_value());
    CHECK(version->integer(0) == 5);
    Ledger ledger(**database, folder / "state", [] { return Millis{3}; });
    CHECK(ledger.find("old")->paid.amount == Amount(10'000));
    Channels channels(**database, folder / "state", [] { return Millis{3}; });
    Channel channel = channel_of("0x" + std::to_string(time));
    CHECK(channels.insert(channel).has_value());
    CHECK(channels.list(true)->size() == static_cast<std::size_t>(time) + 1);
  }
}

// ---- limits

Spend voucher_of(Amount amount, Amount escrow, const Asset& asset = kAlpha) {
  Spend spend;
  spend.why = Purpose::session;
  spend.total = {amount, asset};
  spend.price = Amount(10);
  spend.payees = {{kPayee, amount}};
  spend.escrow = escrow;
  spend.fee = {Amount(), kAlpha};
  spend.payer = kPayer;
  spend.origin = "https://api.example.com";
  return spend;
}

std::string refusal(const Spend& spend, const Limits& limits, const Spent& spent = {}) {
  const auto allowed = allow(spend, limits, spent);
  return allowed ? "" : allowed.error().reason;
}

TEST_CASE("a deposit is at most what may still be spent") {
  CHECK(deposit_limit(kAlpha, {}, {}) == Amount(1'000'000));
  CHECK(refusal(voucher_of(10, 1'000'000), {}).empty());
  CHECK(refusal(voucher_of(10, 1'000'001), {}) == "max_deposit");
  const Spent spent{{{400'000, kAlpha}}, {}};
  CHECK(deposit_limit(kAlpha, {}, spent) == Amount(600'000));
  CHECK(refusal(voucher_of(10, 600'000), {}, spent).empty());
  CHECK(refusal(voucher_of(10, 600'001), {}, spent) == "max_deposit");
  // A top-up alone moves nothing to a payee, and is a deposit all the same.
  CHECK(refusal(voucher_of(0, 600'001), {}, spent) == "max_deposit");
  // An unnamed token has no limit, so nothing of it may lie anywhere.
  CHECK(deposit_limit(kNamed, {}, {}).is_zero());
  CHECK(refusal(voucher_of(0, 1, kNamed), {}) == "max_deposit");
}

TEST_CASE("deposits have a limit of their own where the user sets one") {
  Limits limits;
  limits.max_deposit = {*parse_limit("5")};
  const Spent spent{{{400'000, kAlpha}}, {}};
  CHECK(deposit_limit(kAlpha, limits, spent) == Amount(5'000'000));
  CHECK(refusal(voucher_of(10, 5'000'000), limits, spent).empty());
  CHECK(refusal(voucher_of(10, 5'000'001), limits, spent) == "max_deposit");
  // It is no leave to spend more.
  CHECK(refusal(voucher_of(600'001, 5'000'000), limits, spent) == "max_spend");
  limits.max_deposit.push_back(*parse_limit("0.1:AlphaUSD"));
  CHECK(deposit_limit(kAlpha, limits, {}) == Amount(100'000));
  limits.max_deposit.push_back(*parse_limit("2:" + kNamed.token));
  CHECK(deposit_limit(kNamed, limits, {}) == Amount(2'000'000));
  CHECK(refusal(voucher_of(0, 2'000'000, kNamed), limits).empty());
  const auto refused = allow(voucher_of(0, 2'000'001, kNamed), limits, {});
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().kind == Kind::declined);
  CHECK(refused.error().figures.size() == 2);
  limits.max_deposit = {*parse_limit("0")};
  CHECK(refusal(voucher_of(0, 1), limits) == "max_deposit");
  CHECK(refusal(voucher_of(10, 0), limits).empty());  // a voucher deposits nothing
}

TEST_CASE("an expected amount is the price of a unit, not a voucher's") {
  Limits limits;
  REQUIRE(parse_expected_amount("0.00001", limits.expected).has_value());
  CHECK(refusal(voucher_of(10, 0), limits).empty());
  CHECK(refusal(voucher_of(100'000, 0), limits).empty());
  CHECK(refusal(voucher_of(0, 1'000), limits).empty());
  Spend dearer = voucher_of(10, 0);
  dearer.price = Amount(11);
  CHECK(refusal(dearer, limits) == "expect_amount");
  REQUIRE(parse_expected_amount("<=0.00001", limits.expected).has_value());
  CHECK(refusal(dearer, limits) == "expect_amount");
  dearer.price = Amount(9);
  CHECK(refusal(dearer, limits).empty());
}

}  // namespace
}  // namespace paycurl
