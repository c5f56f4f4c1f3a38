// What a limit is asked about: one movement of money, before it is signed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "src/base/clock.h"
#include "src/base/money.h"

namespace paycurl {

enum class Purpose {
  proof,    ///< zero amount: shows who the payer is
  charge,   ///< one payment
  session,  ///< a voucher, and what its channel needs: opening it, or more deposit
};

struct Payee {
  std::string address;
  Amount amount;
};

/// The integers and addresses here are those of the bytes that will be signed, not the quote's.
struct Spend {
  Purpose why = Purpose::charge;
  Money total;                  ///< everything that payees can take
  std::vector<Payee> payees;    ///< their shares; the first is the challenge's recipient
  std::optional<Amount> price;  ///< what the offer asks for, where that is not the total
  Amount escrow;  ///< what would lie in the escrow and is not spent; zero: no deposit is made
  std::optional<Money> swap;  ///< the most that leaves the payer of another token, for `total`
  Money fee;                  ///< the most the network can take from the payer; zero when sponsored
  bool known_asset = true;  ///< false: the user named the token, so symbol and decimals are theirs
  std::string payer;
  std::string origin;      ///< who asked: "https://api.example.com"
  std::string attempt;     ///< the journal's ID
  Millis valid_until = 0;  ///< by our clock: after that the signed bytes move nothing any more
};

}  // namespace paycurl
