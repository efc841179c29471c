// What /figures tells: memory and processes of the machine, and what this server did.
#pragma once

#include <dirent.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

struct ServerFigures {
  const char* name = "";
  std::atomic<unsigned> connections = 0, requests = 0;  // open now; answered: by any thread
};
inline ServerFigures server_figures;

inline std::string text_of(const std::string& path) {
  std::string text;
  if (FILE* file = fopen(path.c_str(), "re")) {
    char part[1024];
    for (size_t n; (n = fread(part, 1, sizeof part, file)) > 0;) text.append(part, n);
    fclose(file);
  }
  return text;
}

// The number behind `name` in the manner of /proc/meminfo; 0 if there is none.
inline long number_behind(const std::string& text, const char* name) {
  const size_t at = text.find(name);
  return at == std::string::npos ? 0 : atol(text.c_str() + at + strlen(name));
}

inline std::string json_text(std::string_view text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(c) < ' ' ? '?' : c;
  }
  return quoted + '"';
}

inline std::string process_as_json(const char* pid) {
  const std::string status = text_of(std::string("/proc/") + pid + "/status");
  auto line = [&](const char* name) {
    const size_t at = status.find(name);
    if (at == std::string::npos) return std::string();
    const size_t begin = at + strlen(name);
    return status.substr(begin, status.find('\n', begin) - begin);
  };
  if (status.empty()) return "";
  return std::string("{\"pid\":") + pid + ",\"name\":" + json_text(line("Name:\t")) + ",\"state\":" + json_text(line("State:\t")) +
         ",\"threads\":" + std::to_string(number_behind(status, "Threads:")) +
         ",\"resident\":" + std::to_string(number_behind(status, "VmRSS:")) + "}";
}

inline std::string figures_as_json() {
  const std::string memory = text_of("/proc/meminfo"), up = text_of("/proc/uptime");
  std::string json = "{\"server\":" + json_text(server_figures.name) +
                     ",\"connections\":" + std::to_string(server_figures.connections.load()) +
                     ",\"requests\":" + std::to_string(server_figures.requests.load()) + ",\"uptime\":" + std::to_string(atof(up.c_str()));
  for (auto [key, name] : {std::pair{"total", "MemTotal:"},
                           {"free", "MemFree:"},
                           {"cached", "Cached:"},
                           {"anonymous", "AnonPages:"},
                           {"dirty", "Dirty:"},
                           {"swap_total", "SwapTotal:"},
                           {"swap_free", "SwapFree:"}})
    json += std::string(",\"") + key + "\":" + std::to_string(number_behind(memory, name));
  json += ",\"processes\":[";
  if (DIR* directory = opendir("/proc")) {
    const char* separator = "";
    while (dirent* entry = readdir(directory)) {
      if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
      const std::string process = process_as_json(entry->d_name);
      if (process.empty()) continue;
      json += separator + process;
      separator = ",";
    }
    closedir(directory);
  }
  return json + "]}\n";
}
