// The wallet that pays: a node of the user's, or a service, asked over its own API. One file in
// nodes/ for each kind; nothing else knows what they say on the wire.
//
// Amounts are millisatoshi. Every answer is foreign: sizes and times are limited, a preimage counts
// only when its SHA-256 is the payment hash, and nothing that a node says is shown unescaped.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "src/base/secret.h"
#include "src/http/client.h"
#include "src/methods/lightning/bolt11.h"
#include "src/methods/lightning/connection.h"

namespace paycurl::lightning {

/// What a node knows of a payment that went out, or was to.
struct Payment {
  enum class State {
    never,      ///< it has not tried to pay that hash
    failed,     ///< it tried and gave up: nothing left, and nothing will
    in_flight,  ///< it is being paid
    settled,    ///< paid; `preimage` is there
    unknown,    ///< the node did not say, was away, or said something that cannot be
  };
  State state = State::unknown;
  Secret preimage;            ///< 32 bytes, and the payment hash is their SHA-256
  std::optional<Amount> fee;  ///< what routing cost, where it is told
  /// failed: insufficient_funds; backend, with reason "no_route", "failed" or "away" (nobody was
  /// there to be asked); declined, reason "max_fee" or "budget"; account, when the secret was
  /// refused. unknown: backend or protocol, from a look-up account too; interrupted by a signal.
  std::optional<Error> why;
};

/// Where a payment to us stands.
struct Received {
  bool settled = false;
  Amount amount;  ///< received, when it is settled
};

struct NodeInfo {
  std::string network;      ///< as in Invoice; empty: the wallet does not tell
  std::string name;         ///< its alias, foreign text
  std::string id;           ///< its public key in hex; empty where there is none
  bool can_pay = true;      ///< as far as the wallet tells what the secret permits
  bool can_invoice = true;  ///< invoices without an amount can be made: sessions work
  bool can_look_up = true;  ///< payments are found again by their hash, with their preimage
};

class Node {
 public:
  virtual ~Node() = default;

  /// Kind::backend when nobody answers, Kind::account when the secret is refused, Kind::protocol
  /// for an answer that cannot be read. All calls fail so.
  virtual Result<NodeInfo> info() = 0;

  /// What can be spent, as far as it is known.
  virtual Result<Amount> balance() = 0;

  /// What routing `amount` costs whatever the route, where the wallet has such a fee and takes no
  /// limit; nullopt where `pay` keeps the limit itself or none is known.
  virtual Result<std::optional<Amount>> fixed_fee(const Invoice& invoice) = 0;

  /// Pays, and waits for the end at most that long. The invoice has an amount. A node refuses a
  /// second payment of one hash by itself; that one had been paid before comes back as `settled`,
  /// looked up. `never` is no answer here: what was not tried has failed. When no answer came and
  /// the node, looked at again, never heard of it, that is `unknown`: it may be on its way.
  virtual Payment pay(const Invoice& invoice, Amount most_fee, http::Duration patience) = 0;

  /// Looks a payment up; while it is in flight, waits for its end at most that long.
  virtual Payment look_up(const Digest& payment_hash, http::Duration patience) = 0;

  /// Makes an invoice without an amount that can be paid for `lifetime`. Its text, not verified.
  /// Kind::unsupported, reason "no_invoices", where the wallet cannot.
  virtual Result<std::string> make_invoice(const std::string& description,
                                           std::chrono::seconds lifetime) = 0;

  /// Whether an invoice of ours was paid. nullopt: the wallet does not know it.
  virtual Result<std::optional<Received>> received(const Digest& payment_hash) = 0;
};

/// Makes a client of its own for a node: without the user's proxy, trace and -k, and, when `ca_pem`
/// is not empty, trusting those certificates and no others.
using ClientFor = std::function<std::unique_ptr<http::Client>(const std::string& ca_pem)>;

/// The node behind `connection`. Nothing is sent yet.
Result<std::unique_ptr<Node>> make_node(Connection connection, const ClientFor& client_for,
                                        Clock clock);

/// `preimage` (hex of either case) when its SHA-256 is the hash; else a payment that is `unknown`.
Payment settled_with(std::string_view preimage, const Digest& payment_hash,
                     std::optional<Amount> fee);

// In nodes/: one for each kind of connection.
Result<std::unique_ptr<Node>> make_lnd(Connection connection, const ClientFor& client_for);
Result<std::unique_ptr<Node>> make_cln(Connection connection, const ClientFor& client_for);
Result<std::unique_ptr<Node>> make_phoenixd(Connection connection, const ClientFor& client_for);
Result<std::unique_ptr<Node>> make_lnbits(Connection connection, const ClientFor& client_for);
Result<std::unique_ptr<Node>> make_nwc(Connection connection, const ClientFor& client_for,
                                       Clock clock);

}  // namespace paycurl::lightning
