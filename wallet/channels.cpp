#include "wallet/channels.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

#include "src/base/text.h"
#include "src/crypto/hash.h"

namespace paycurl {
namespace {

constexpr std::array<std::string_view, 5> kNames{"opening", "open", "closing", "closed", "lost"};

constexpr std::string_view kColumns =
    "seq, id, scope, status, method, origin, url, payer, payee, account, escrow, descriptor, "
    "opening, opening_until, symbol, decimals, token, network, is_dollar, is_test, deposit, "
    "signed, "
    "accepted, spent, units, opened, used, withdrawable, source";

std::string select(std::string_view rest) {
  return "SELECT " + std::string(kColumns) + " FROM channels " + std::string(rest);
}

ChannelStatus status_of(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  return found == kNames.end() ? ChannelStatus::lost
                               : static_cast<ChannelStatus>(found - kNames.begin());
}

Channel read_channel(const Statement& from) {
  Channel channel;
  int column = 0;
  const auto text = [&] { return from.text(column++); };
  const auto whole = [&] { return from.integer(column++); };
  const auto amount = [&] { return Amount::parse(text()).value_or(Amount()); };
  channel.seq = whole();
  channel.id = text();
  channel.scope = text();
  channel.status = status_of(text());
  channel.method = text();
  channel.origin = text();
  channel.url = text();
  channel.payer = text();
  channel.payee = text();
  channel.account = text();
  channel.escrow = text();
  channel.descriptor = text();
  channel.opening = text();
  channel.opening_until = whole();
  channel.asset.symbol = text();
  channel.asset.decimals = static_cast<int>(whole());
  channel.asset.token = text();
  channel.asset.network = text();
  channel.asset.is_dollar = whole() != 0;
  channel.asset.is_test = whole() != 0;
  channel.deposit = amount();
  channel.signed_amount = amount();
  channel.accepted = amount();
  channel.spent = amount();
  channel.units = whole();
  channel.opened = whole();
  channel.used = whole();
  if (!from.is_null(column)) channel.withdrawable = from.integer(column);
  ++column;
  channel.source = text();
  return channel;
}

/// A scope's byte in the lock file. Two scopes on one byte would only wait for each other.
std::int64_t byte_of(const std::string& scope) {
  const Digest digest = sha256(as_bytes(scope));
  std::uint64_t number = 0;
  std::memcpy(&number, digest.data(), sizeof number);
  return static_cast<std::int64_t>(number >> 2);
}

bool set_lock(int fd, std::int64_t at, short type) {
  struct flock byte {};
  byte.l_type = type;
  byte.l_whence = SEEK_SET;
  byte.l_start = at;
  byte.l_len = 1;
  return ::fcntl(fd, F_OFD_SETLK, &byte) == 0;
}

}  // namespace

std::string_view name_of(ChannelStatus status) {
  return kNames[static_cast<std::size_t>(status)];
}

ChannelLock::ChannelLock(ChannelLock&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), byte_(other.byte_) {}

ChannelLock& ChannelLock::operator=(ChannelLock&& other) noexcept {
  if (this != &other) {
    release();
    fd_ = std::exchange(other.fd_, -1);
    byte_ = other.byte_;
  }
  return *this;
}

void ChannelLock::release() {
  if (fd_ >= 0) (void)set_lock(std::exchange(fd_, -1), byte_, F_UNLCK);
}

Channels::Channels(Database& database, std::string folder, Clock clock)
    : database_(database), clock_(std::move(clock)), folder_(std::move(folder)) {
  lock_ =
      ::open((folder_ + "/channels.lock").c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
}

Channels::~Channels() {
  if (lock_ >= 0) ::close(lock_);
}

Result<ChannelLock> Channels::lock(const std::string& scope, std::chrono::milliseconds patience) {
  if (lock_ < 0) {
    return Error{Kind::internal, "the lock file of the channels cannot be used",
                 "see that " + folder_ + " is writable"};
  }
  ChannelLock lock;
  lock.byte_ = byte_of(scope);
  const auto end = std::chrono::steady_clock::now() + patience;
  auto pause = std::chrono::microseconds(500);
  while (!set_lock(lock_, lock.byte_, F_WRLCK)) {
    if (std::chrono::steady_clock::now() >= end) {
      return Error{Kind::session, "another process is at this payment channel",
                   "wait for it, or give it more time with --lock-timeout", "busy"};
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(4'000));
  }
  lock.fd_ = lock_;
  return lock;
}

Result<std::vector<Channel>> Channels::rows(Statement& statement) {
  std::vector<Channel> found;
  while (true) {
    const auto row = statement.step();
    if (!row) return row.error();
    if (!*row) return found;
    found.push_back(read_channel(statement));
  }
}

Result<std::optional<Channel>> Channels::current(const std::string& scope) {
  auto query = database_.prepare(
      select("WHERE scope = ? AND status IN ('opening', 'open') ORDER BY seq DESC LIMIT 1"));
  if (!query) return query.error();
  query->bind(scope);
  auto found = rows(*query);
  if (!found) return found.error();
  return found->empty() ? std::optional<Channel>() : std::optional(std::move(found->front()));
}

Result<std::optional<Channel>> Channels::get(const std::string& id) {
  auto query = database_.prepare(select("WHERE id = ?"));
  if (!query) return query.error();
  query->bind(id);
  auto found = rows(*query);
  if (!found) return found.error();
  return found->empty() ? std::optional<Channel>() : std::optional(std::move(found->front()));
}

Result<Channel> Channels::find(std::string_view id) {
  auto query =
      database_.prepare(id == "last" ? select("ORDER BY seq DESC LIMIT 1")
                                     : select("WHERE substr(id, 1, length(?1)) = ?1 LIMIT 2"));
  if (!query) return query.error();
  if (id != "last") query->bind(lower(id));
  auto found = rows(*query);
  if (!found) return found.error();
  if (found->size() == 1) return std::move(found->front());
  if (found->empty()) {
    return Error{Kind::usage, "no session " + printable(id, 80), "see paycurl sessions list --all"};
  }
  return Error{Kind::usage, "more than one session starts with " + printable(id, 80)};
}

Result<std::vector<Channel>> Channels::list(bool all) {
  auto query = database_.prepare(
      select(all ? "ORDER BY seq DESC" : "WHERE status != 'closed' ORDER BY seq DESC"));
  if (!query) return query.error();
  return rows(*query);
}

Result<> Channels::insert(Channel& channel) {
  auto insert = database_.prepare(
      "INSERT INTO channels (id, scope, status, method, origin, url, payer, payee, account, "
      "escrow, descriptor, opening, opening_until, symbol, decimals, token, network, is_dollar, "
      "is_test, deposit, signed, accepted, spent, units, opened, used, withdrawable, source) "
      "VALUES "
      "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  if (!insert) return insert.error();
  const Asset& asset = channel.asset;
  insert->bind(channel.id).bind(channel.scope).bind(name_of(channel.status));
  insert->bind(channel.method).bind(channel.origin).bind(channel.url).bind(channel.payer);
  insert->bind(channel.payee).bind(channel.account).bind(channel.escrow);
  insert->bind(channel.descriptor).bind(channel.opening).bind(channel.opening_until);
  insert->bind(asset.symbol).bind(std::int64_t{asset.decimals}).bind(asset.token);
  insert->bind(asset.network).bind(std::int64_t{asset.is_dollar}).bind(std::int64_t{asset.is_test});
  insert->bind(channel.deposit.decimal()).bind(channel.signed_amount.decimal());
  insert->bind(channel.accepted.decimal()).bind(channel.spent.decimal()).bind(channel.units);
  insert->bind(channel.opened).bind(channel.used).bind_optional(channel.withdrawable);
  insert->bind(channel.source);
  if (auto inserted = insert->run(); !inserted) return inserted;
  channel.seq = database_.last_row();
  return {};
}

Result<> Channels::raise_signed(Channel& channel, Amount to) {
  if (to < channel.signed_amount) {
    return Error{Kind::internal, "a voucher may not be lower than one that was signed before"};
  }
  auto update = database_.prepare(
      "UPDATE channels SET signed = ?, used = ? WHERE seq = ? AND signed = ? RETURNING seq");
  if (!update) return update.error();
  channel.used = clock_();
  update->bind(to.decimal()).bind(channel.used).bind(channel.seq);
  update->bind(channel.signed_amount.decimal());
  const auto found = update->step();
  if (!found) return found.error();
  if (!*found) {
    return Error{Kind::session, "the channel was changed by another process",
                 "run the command again", "stale"};
  }
  channel.signed_amount = to;
  return {};
}

Result<> Channels::save(const Channel& channel) {
  auto update = database_.prepare(
      "UPDATE channels SET status = ?, origin = ?, url = ?, account = ?, opening = ?, "
      "opening_until = ?, deposit = ?, accepted = ?, spent = ?, units = ?, opened = ?, used = ?, "
      "withdrawable = ?, source = ? WHERE seq = ?");
  if (!update) return update.error();
  update->bind(name_of(channel.status)).bind(channel.origin).bind(channel.url);
  update->bind(channel.account).bind(channel.opening).bind(channel.opening_until);
  update->bind(channel.deposit.decimal()).bind(channel.accepted.decimal());
  update->bind(channel.spent.decimal()).bind(channel.units).bind(channel.opened);
  update->bind(channel.used).bind_optional(channel.withdrawable).bind(channel.source);
  return update->bind(channel.seq).run();
}

Result<> Channels::save_lightly(const Channel& channel) {
  return database_.lightly([&] { return save(channel); });
}

Result<> Channels::forget(const Channel& channel) {
  auto remove = database_.prepare("DELETE FROM channels WHERE seq = ?");
  if (!remove) return remove.error();
  return remove->bind(channel.seq).run();
}

Result<std::optional<KnownOffer>> Channels::offer(const std::string& endpoint) {
  auto query = database_.prepare(
      "SELECT protocol, challenge, expires, clock_offset FROM offers WHERE endpoint = ?");
  if (!query) return query.error();
  query->bind(endpoint);
  const auto row = query->step();
  if (!row) return row.error();
  if (!*row) return std::optional<KnownOffer>();
  return std::optional(
      KnownOffer{query->text(0), query->text(1), query->integer(2), query->integer(3)});
}

Result<> Channels::remember_offer(const std::string& endpoint, const KnownOffer& offer) {
  return database_.lightly([&]() -> Result<> {
    auto remove = database_.prepare("DELETE FROM offers WHERE expires < ?");
    if (!remove) return remove.error();
    if (auto removed = remove->bind(clock_()).run(); !removed) return removed;
    auto insert = database_.prepare("INSERT OR REPLACE INTO offers VALUES (?, ?, ?, ?, ?)");
    if (!insert) return insert.error();
    insert->bind(endpoint).bind(offer.protocol).bind(offer.challenge).bind(offer.expires);
    return insert->bind(offer.clock_offset).run();
  });
}

Result<> Channels::forget_offer(const std::string& endpoint) {
  return database_.lightly([&]() -> Result<> {
    auto remove = database_.prepare("DELETE FROM offers WHERE endpoint = ?");
    if (!remove) return remove.error();
    return remove->bind(endpoint).run();
  });
}

Result<> Channels::together(const std::function<Result<>()>& work) {
  auto transaction = database_.begin();
  if (!transaction) return transaction.error();
  if (auto done = work(); !done) return done;
  return transaction->commit();
}

}  // namespace paycurl
