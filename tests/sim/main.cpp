// SPDX-License-Identifier: BSD-2-Clause
// Runs seeds: sim_seeds [--from N] [--count N] [--mutation N | --mutations] ; sim_seeds --seed N
// [--verbose]
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "run.hpp"

namespace rdmaboot::tests {
namespace {

struct Options {
  std::uint64_t from = 1;
  std::uint64_t count = 1;
  std::uint64_t mutation = 0;
  bool all_mutations = false;
  bool twice = false;
  bool verbose = false;
};

bool read_number(const char* text, std::uint64_t& number) {
  const auto read = std::from_chars(text, text + std::strlen(text), number);
  return read.ec == std::errc{} && *read.ptr == '\0';
}

/// @return false if an argument is not understood
bool read_options(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--verbose") {
      options.verbose = true;
      continue;
    }
    if (name == "--mutations") {
      options.all_mutations = true;
      continue;
    }
    if (name == "--twice") {
      options.twice = true;
      continue;
    }
    std::uint64_t* number = name == "--from" || name == "--seed" ? &options.from
                            : name == "--count"                  ? &options.count
                            : name == "--mutation"               ? &options.mutation
                                                                 : nullptr;
    if (number == nullptr || i + 1 == argc || !read_number(argv[++i], *number)) {
      return false;
    }
  }
  return options.mutation <= kMutations;
}

Verdict run(std::uint64_t seed, Mutation mutation, bool verbose) {
  Run one(seed, mutation, verbose);
  return one.execute();
}

void print_failure(std::uint64_t seed, Mutation mutation, const Verdict& verdict) {
  std::printf("seed %llu breaks after %llu us: %s\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(verdict.ended.count()), verdict.broken.c_str());
  std::printf("again: sim_seeds --seed %llu%s --verbose\n", static_cast<unsigned long long>(seed),
              mutation == Mutation::kNone
                  ? ""
                  : (" --mutation " + std::to_string(static_cast<unsigned>(mutation))).c_str());
  std::fflush(stdout);
}

/// @return how many seeds break a claim
std::uint64_t run_seeds(const Options& options) {
  std::uint64_t broken = 0;
  Verdict sum;
  const auto started = std::chrono::steady_clock::now();
  for (std::uint64_t seed = options.from; seed < options.from + options.count; ++seed) {
    const auto mutation = static_cast<Mutation>(options.mutation);
    const Verdict verdict = run(seed, mutation, options.verbose);
    sum.steps += verdict.steps;
    sum.transfers += verdict.transfers;
    sum.succeeded += verdict.succeeded;
    sum.writes += verdict.writes;
    if (!verdict.broken.empty()) {
      ++broken;
      print_failure(seed, mutation, verdict);
    }
    if (options.twice && run(seed, mutation, false).digest != verdict.digest) {
      ++broken;
      std::printf("seed %llu gives two different runs\n", static_cast<unsigned long long>(seed));
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  std::printf(
      "%llu seeds in %.1f s, %llu broken; %llu steps, %llu transfers, of which %llu "
      "succeeded, %llu writes\n",
      static_cast<unsigned long long>(options.count), took.count(),
      static_cast<unsigned long long>(broken), static_cast<unsigned long long>(sum.steps),
      static_cast<unsigned long long>(sum.transfers),
      static_cast<unsigned long long>(sum.succeeded), static_cast<unsigned long long>(sum.writes));
  return broken;
}

/// Each deliberate bug has to be found. @return how many are not
unsigned run_mutations(const Options& options) {
  unsigned missed = 0;
  for (unsigned i = 1; i <= kMutations; ++i) {
    const auto mutation = static_cast<Mutation>(i);
    std::uint64_t seed = options.from;
    Verdict verdict;
    while (seed < options.from + options.count && verdict.broken.empty()) {
      verdict = run(seed++, mutation, false);
    }
    const bool found = !verdict.broken.empty();
    missed += found ? 0U : 1U;
    std::printf("%-45.*s %s %llu: %s\n", static_cast<int>(describe(mutation).size()),
                describe(mutation).data(), found ? "found by seed" : "NOT FOUND until seed",
                static_cast<unsigned long long>(seed - 1), verdict.broken.c_str());
    std::fflush(stdout);
  }
  return missed;
}

}  // namespace
}  // namespace rdmaboot::tests

int main(int argc, char** argv) {
  rdmaboot::tests::Options options;
  if (!rdmaboot::tests::read_options(argc, argv, options)) {
    std::fputs(
        "usage: sim_seeds [--from N] [--count N] [--mutation N | --mutations] [--twice]\n"
        "       sim_seeds --seed N [--verbose]\n",
        stderr);
    return 2;
  }
  const bool good = options.all_mutations ? rdmaboot::tests::run_mutations(options) == 0
                                          : rdmaboot::tests::run_seeds(options) == 0;
  return good ? 0 : 1;
}
