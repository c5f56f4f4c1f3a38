#include "src/protocols/protocols.h"

namespace paycurl {

std::vector<std::unique_ptr<Protocol>> make_protocols() {
  std::vector<std::unique_ptr<Protocol>> table;
  table.push_back(make_mpp());
  table.push_back(make_l402());
  return table;
}

}  // namespace paycurl
