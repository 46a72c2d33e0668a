// SPDX-License-Identifier: BSD-2-Clause
// link: rdmaboot-kmod dl
//
// A libkmod that runs out of memory where the test says so, and otherwise is the real one.
#include <cerrno>
#include <string>

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <libkmod.h>

#include "module_tree.hpp"
#include "os/kmod.hpp"

namespace {

/// The function that fails; empty: none.
std::string failing;

template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

// These definitions take precedence over those of the shared library.
extern "C" {

kmod_ctx* kmod_new(const char* directory, const char* const* configuration) {
  if (failing == "kmod_new") {
    errno = 0;  // libkmod does not set it
    return nullptr;
  }
  return real<decltype(kmod_new)>("kmod_new")(directory, configuration);
}

int kmod_module_new_from_lookup(kmod_ctx* context, const char* alias, kmod_list** list) {
  if (failing == "kmod_module_new_from_lookup") {
    return -ENOMEM;
  }
  return real<decltype(kmod_module_new_from_lookup)>("kmod_module_new_from_lookup")(context, alias,
                                                                                    list);
}

int kmod_module_new_from_name(kmod_ctx* context, const char* name, kmod_module** module) {
  if (failing == "kmod_module_new_from_name") {
    return -ENOMEM;
  }
  return real<decltype(kmod_module_new_from_name)>("kmod_module_new_from_name")(context, name,
                                                                                module);
}

int kmod_module_get_softdeps(const kmod_module* module, kmod_list** before, kmod_list** after) {
  if (failing == "kmod_module_get_softdeps") {
    return -ENOMEM;
  }
  return real<decltype(kmod_module_get_softdeps)>("kmod_module_get_softdeps")(module, before,
                                                                              after);
}
}

namespace rdmaboot::os {
namespace {

class KmodErrors : public ::testing::Test {
 protected:
  KmodErrors() {
    failing.clear();
    tree_.module("ib_core");
  }
  ~KmodErrors() override { failing.clear(); }

  core::Result<std::unique_ptr<ModuleIndex>> open() {
    return open_kmod({tree_.finish().path(""), test::ModuleTree::kRelease});
  }

  test::ModuleTree tree_;
};

TEST_F(KmodErrors, NoMemoryForTheContextIsAnErrorThatSaysSo) {
  failing = "kmod_new";
  const auto index = open();
  ASSERT_FALSE(index);
  EXPECT_EQ(index.error().error_number, ENOMEM);
  EXPECT_NE(index.error().message().find("/lib/modules/"), std::string::npos);
}

TEST_F(KmodErrors, NoMemoryForOneModuleIsItsErrorAndTheNextQuestionIsAnswered) {
  const auto index = open().value();
  for (const char* const function : {"kmod_module_new_from_name", "kmod_module_get_softdeps"}) {
    failing = function;
    const auto facts = index->describe("ib_core");
    ASSERT_FALSE(facts) << function;
    EXPECT_EQ(facts.error().error_number, ENOMEM);
    EXPECT_NE(facts.error().message().find("ib_core"), std::string::npos);
    failing.clear();
    EXPECT_TRUE(index->describe("ib_core"));
  }
  failing = "kmod_module_new_from_lookup";
  EXPECT_EQ(index->resolve("ib_core").error().error_number, ENOMEM);
  failing.clear();
  EXPECT_EQ(index->resolve("ib_core").value().size(), 1U);
}

}  // namespace
}  // namespace rdmaboot::os
