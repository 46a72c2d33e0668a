// SPDX-License-Identifier: BSD-2-Clause
#pragma once

// Checks JSON against the schemas in docs/schemas. It knows the words of JSON Schema that those
// use; any other word is a problem, so that nothing in a schema is silently left unchecked.

#include <algorithm>
#include <fstream>
#include <regex>
#include <stdexcept>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace rdmaboot::test {

class JsonSchema {
 public:
  explicit JsonSchema(nlohmann::json schema) : root_(std::move(schema)) {}

  /// docs/schemas/NAME.json. Throws if it is not there or no JSON.
  static JsonSchema of_documentation(const std::string& name) {
    std::ifstream file(RDMABOOT_SOURCE_DIR "/docs/schemas/" + name + ".json");
    if (!file) {
      throw std::runtime_error("no schema " + name);
    }
    return JsonSchema(nlohmann::json::parse(file));
  }

  /// What is wrong with `value`, each with its place; empty if it is as the schema says.
  [[nodiscard]] std::vector<std::string> problems(const nlohmann::json& value) const {
    std::vector<std::string> found;
    check(root_, value, "", found);
    return found;
  }

 private:
  using Json = nlohmann::json;
  using Problems = std::vector<std::string>;

  void check(const Json& schema, const Json& value, const std::string& at, Problems& found) const {
    for (const auto& [word, rule] : schema.items()) {
      if (!check_word(word, rule, schema, value, at, found)) {
        found.push_back(at + ": the schema has the unknown word " + word);
      }
    }
  }

  bool check_word(const std::string& word, const Json& rule, const Json& schema, const Json& value,
                  const std::string& at, Problems& found) const {
    const auto wrong = [&](const std::string& what) { found.push_back(at + ": " + what); };
    if (word == "$ref") {
      check(root_.at(Json::json_pointer(rule.get<std::string>().substr(1))), value, at, found);
    } else if (word == "type") {
      const Json types = rule.is_array() ? rule : Json::array({rule});
      if (std::none_of(types.begin(), types.end(), [&](const Json& t) { return is(t, value); })) {
        wrong(value.dump() + " is not of the type " + rule.dump());
      }
    } else if (word == "enum") {
      if (std::find(rule.begin(), rule.end(), value) == rule.end()) {
        wrong(value.dump() + " is not one of " + rule.dump());
      }
    } else if (word == "pattern") {
      if (value.is_string() &&
          !std::regex_search(value.get<std::string>(), std::regex(rule.get<std::string>()))) {
        wrong(value.dump() + " does not match " + rule.dump());
      }
    } else if (word == "minimum") {
      if (value.is_number() && value < rule) {
        wrong(value.dump() + " is less than " + rule.dump());
      }
    } else if (word == "items") {
      for (std::size_t i = 0; value.is_array() && i < value.size(); ++i) {
        check(rule, value[i], at + "/" + std::to_string(i), found);
      }
    } else if (word == "required") {
      for (const Json& name : rule) {
        if (value.is_object() && !value.contains(name.get<std::string>())) {
          wrong("lacks " + name.get<std::string>());
        }
      }
    } else if (word == "properties" || word == "additionalProperties") {
      check_members(word == "properties", rule, schema, value, at, found);
    } else {
      return word == "$schema" || word == "$defs" || word == "title" || word == "description";
    }
    return true;
  }

  void check_members(bool listed, const Json& rule, const Json& schema, const Json& value,
                     const std::string& at, Problems& found) const {
    if (!value.is_object()) {
      return;
    }
    for (const auto& [name, member] : value.items()) {
      const bool known = schema.contains("properties") && schema["properties"].contains(name);
      if (listed && known) {
        check(rule.at(name), member, at + "/" + name, found);
      } else if (!listed && !known && rule.is_object()) {
        check(rule, member, at + "/" + name, found);
      } else if (!listed && !known && rule == false) {
        found.push_back(at + ": has the unknown member " + name);
      }
    }
  }

  static bool is(const Json& type, const Json& value) {
    return (type == "object" && value.is_object()) || (type == "array" && value.is_array()) ||
           (type == "string" && value.is_string()) || (type == "null" && value.is_null()) ||
           (type == "boolean" && value.is_boolean()) || (type == "number" && value.is_number()) ||
           (type == "integer" && value.is_number_integer());
  }

  Json root_;
};

}  // namespace rdmaboot::test
