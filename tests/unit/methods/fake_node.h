// A wallet in memory behind an http::Client: it speaks one of the HTTP interfaces, knows one
// payment, and fails as it is told to.
#pragma once

#include <string>
#include <vector>

#include "src/methods/lightning/node.h"
#include "tests/client.h"

namespace paycurl::test {

using lightning::Connection;
using lightning::Payment;

/// How a question is answered, whatever the wallet does with it.
enum class Fault {
  none,
  unsent,          ///< nobody listens
  timeout,         ///< no answer
  cut,             ///< the connection ends inside the answer
  garbage,         ///< an answer that is not what it should be
  huge,            ///< one without an end
  refused,         ///< the secret is not accepted
  gateway,         ///< something in between says 502
  conflict,        ///< 409 with the words of a duplicate
  wrong_preimage,  ///< settled, with another preimage
  zero_preimage,   ///< settled, with zeros
  lying_amounts,   ///< settled, with numbers that cannot be
  stopped,         ///< a signal ends the wait for an answer
};

/// Why it fails to pay.
enum class Failure { other, no_route, poor, too_expensive };

class FakeNode : public FakeClient {
 public:
  explicit FakeNode(Connection::Kind kind);

  // The script.
  Fault on_pay = Fault::none;
  Fault on_look = Fault::none;
  Payment::State state = Payment::State::never;      ///< of the payment, before and after
  Payment::State outcome = Payment::State::settled;  ///< what paying comes to
  Payment::State later = Payment::State::in_flight;  ///< what one in flight comes to
  int looks_until_later = 1;
  Failure failure = Failure::other;
  bool knows_xpay = true;
  bool away = false;
  std::string other_status;  ///< "404 body" for look-ups: what another server would say

  // What it saw.
  struct Seen {
    std::string method, path, body, secret;
    bool own_connection = false;
    http::Duration total{0};
  };
  std::vector<Seen> seen;
  int pays = 0;  ///< questions that would pay
  int looks = 0;

  ByteArray<32> preimage{};
  lightning::Invoice invoice;
  std::string secret = "5ec2e75ec2e7";
  http::Duration longest_wait{20'000};

  /// The wallet's node, asking this.
  std::unique_ptr<lightning::Node> node(const std::string& url = "https://wallet.example");

 private:
  void exchange(const http::Request& request, http::Stream& stream) override;

  struct Reply {
    int status = 200;
    std::string body;
    int transport = 0;  ///< how it ends
  };
  Reply answer(const http::Request& request, const std::string& body);
  Reply answer_pay();
  Reply answer_look();
  Reply answer_question(const std::string& path) const;
  Reply spoilt(Fault fault, Reply good) const;
  Reply failed_pay() const;
  Reply duplicate() const;
  Reply told(bool paying) const;
  std::string shown_preimage(Fault fault) const;

  Connection::Kind kind_;
};

}  // namespace paycurl::test
