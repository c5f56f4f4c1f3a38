// Payment channels and prepaid balances that the user has with payees, and the offers that go with
// them.
//
// Three numbers tell what a payee can take: signed >= accepted >= spent. `signed` is what we signed
// for, durable before the voucher leaves, and never falls; `accepted` and `spent` are the payee's
// words, believed only up to it. One process at a time may sign on a scope: whoever holds its lock.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "src/base/clock.h"
#include "src/base/money.h"
#include "wallet/sqlite.h"

namespace paycurl {

enum class ChannelStatus { opening, open, closing, closed, lost };
std::string_view name_of(ChannelStatus status);

struct Channel {
  std::int64_t seq = 0;
  std::string id;     ///< the rail's name of it, "0x..."
  std::string scope;  ///< channels of one scope can stand in for each other
  ChannelStatus status = ChannelStatus::opening;
  std::string method;
  std::string origin, url;  ///< where it was opened; a close goes there
  std::string payer, payee, account, escrow;
  std::string descriptor;    ///< the method's own words
  std::string opening;       ///< what an opening or top-up is rebuilt from; empty when it is over
  Millis opening_until = 0;  ///< nobody can mine that any more
  Asset asset;
  Amount deposit, signed_amount, accepted, spent;
  std::int64_t units = 0;
  Millis opened = 0, used = 0;
  std::optional<Millis> withdrawable;  ///< after a close was requested without the payee
  std::string source = "paycurl";

  /// What would come back if it were closed now.
  Amount remaining() const {
    return status == ChannelStatus::closed ? Amount() : deposit.minus(spent).value_or(Amount());
  }
};

/// An offer that was paid before and can be paid again ahead of the next 402.
struct KnownOffer {
  std::string protocol;
  std::string challenge;  ///< as the protocol writes it, JSON
  Millis expires = 0;
  Millis clock_offset = 0;
};

/// Leave to sign on a scope; let go by its end, or by the process's.
class ChannelLock {
 public:
  ChannelLock() = default;
  ChannelLock(ChannelLock&& other) noexcept;
  ChannelLock& operator=(ChannelLock&& other) noexcept;
  ~ChannelLock() { release(); }
  void release();
  bool is_held() const { return fd_ >= 0; }

 private:
  friend class Channels;
  int fd_ = -1;
  std::int64_t byte_ = 0;
};

class Channels {
 public:
  /// `folder` gets the lock file.
  Channels(Database& database, std::string folder, Clock clock);
  ~Channels();
  Channels(const Channels&) = delete;
  Channels& operator=(const Channels&) = delete;

  /// Waits for the scope. Kind::session, reason "busy", when another process keeps it that long.
  Result<ChannelLock> lock(const std::string& scope, std::chrono::milliseconds patience);

  /// The newest channel of the scope that is open or being opened.
  Result<std::optional<Channel>> current(const std::string& scope);
  /// The channel with exactly this id; nullopt when there is none.
  Result<std::optional<Channel>> get(const std::string& id);
  /// The channel with this id, a unique prefix of it, or "last". Usage error otherwise.
  Result<Channel> find(std::string_view id);
  /// Newest first; closed ones only with `all`.
  Result<std::vector<Channel>> list(bool all);

  /// A new row; sets seq. Kind::session when there is one of that id.
  Result<> insert(Channel& channel);
  /// Raises `signed` from what it was when `channel` was read, and marks it as used. Kind::session
  /// when the row has another number by now: then somebody signed without the lock.
  Result<> raise_signed(Channel& channel, Amount to);
  /// Saves everything but id, scope, payer and `signed`.
  Result<> save(const Channel& channel);
  /// The same for the payee's words alone, which a power failure may undo: they can be asked for
  /// again.
  Result<> save_lightly(const Channel& channel);
  Result<> forget(const Channel& channel);

  /// Offers by endpoint: "GET https://api.example.com/path".
  Result<std::optional<KnownOffer>> offer(const std::string& endpoint);
  Result<> remember_offer(const std::string& endpoint, const KnownOffer& offer);
  Result<> forget_offer(const std::string& endpoint);

  /// Runs `work` in one transaction: all of it is durable when this returns, or nothing.
  Result<> together(const std::function<Result<>()>& work);

 private:
  Result<std::vector<Channel>> rows(Statement& statement);

  Database& database_;
  Clock clock_;
  int lock_ = -1;
  std::string folder_;
};

}  // namespace paycurl
