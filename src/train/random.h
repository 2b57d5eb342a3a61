// Random numbers that are the same with every standard library: a run is decided by its seed, on any machine.
// A stream is made from the numbers that name its use (seed, epoch, step ...), so nothing of it has to be
// stored for a resume.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace tandem {

class Random {
 public:
  Random(std::initializer_list<std::uint64_t> name) {
    for (const std::uint64_t part : name) {
      state_ ^= part;
      state_ = next();
    }
  }

  /// splitmix64.
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }
  /// In [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  bool coin() { return (next() >> 63) != 0; }
  /// In [0, n).
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(uniform() * static_cast<double>(n)); }

  template <class T>
  void shuffle(std::vector<T>& values) {
    for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }

 private:
  std::uint64_t state_ = 0;
};

}  // namespace tandem
