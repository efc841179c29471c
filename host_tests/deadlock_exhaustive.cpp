#include "host_tests/deadlock_exhaustive.h"

#include <cstdlib>
#include <ostream>

namespace faultline {

Seeds world_seeds() {
  if (const char* seed = getenv("FAULTLINE_GRAPH_SEED")) return {strtoull(seed, nullptr, 10), strtoull(seed, nullptr, 10) + 1};
  const char* count = getenv("FAULTLINE_GRAPHS");
  return {1, 1 + (count ? strtoull(count, nullptr, 10) : 100000)};
}

WaitWorld WaitWorld::random(uint64_t seed, Kind kind) {
  SmallRandom random(seed);
  bool single = kind == Kind::kSingleUnitsAllWaits;
  WaitWorld world;
  world.threads = random.between(2, kMostThreads);
  world.resources = random.between(1, kMostResources);
  // Worlds differ in how much there is of everything, so that some are all deadlock and some have none.
  uint32_t holding = random.between(30, 90), wanting = random.between(10, 60), messages = random.percent(50) ? random.between(5, 40) : 0;
  uint32_t unblocked = random.between(0, 30), any = single ? 0 : random.between(0, 100), anyone = single ? 0 : random.below(25);
  for (uint32_t r = 0; r < world.resources; r++) {
    world.units[r] = single ? 1 : random.between(1, 3);
    for (uint32_t unit = 0; unit < world.units[r]; unit++)
      if (random.percent(holding)) world.thread[random.below(world.threads)].held[r]++;
  }
  for (uint32_t t = 0; t < world.threads; t++) {
    Thread& thread = world.thread[t];
    if (!random.percent(unblocked)) thread.wait = random.percent(any) ? Wait::kAny : Wait::kAll;
    // Requests of who waits for nothing mean nothing. Now and then one is for more than there is.
    for (uint32_t r = 0; r < world.resources; r++)
      if (random.percent(wanting)) thread.wanted[r] = random.between(1, world.units[r] + (!single && random.percent(3)));
    for (uint32_t other = 0; other < world.threads; other++)
      if (random.percent(other == t ? messages / 8 : messages)) thread.wants_threads |= 1u << other;
    thread.wants_anyone = random.percent(anyone);
  }
  return world;
}

bool WaitWorld::is_met(uint32_t waiter, ThreadSet finished, uint32_t resource) const {
  uint32_t free = units[resource];
  for (uint32_t t = 0; t < threads; t++)
    if (!(finished & 1u << t)) free -= thread[t].held[resource];
  return thread[waiter].wanted[resource] <= free;
}

bool WaitWorld::can_finish(uint32_t waiter, ThreadSet finished) const {
  const Thread& who = thread[waiter];
  if (who.wait == Wait::kNothing) return true;
  bool all = true, any = false;
  for (uint32_t r = 0; r < resources; r++) {
    if (who.wanted[r] == 0) continue;
    if (is_met(waiter, finished, r))
      any = true;
    else
      all = false;
  }
  for (uint32_t other = 0; other < threads; other++) {
    if (!(who.wants_threads & 1u << other)) continue;
    if (finished & 1u << other)
      any = true;
    else
      all = false;
  }
  if (who.wants_anyone) {
    if (finished != 0)
      any = true;
    else
      all = false;
  }
  return who.wait == Wait::kAll ? all : any;
}

void WaitWorld::try_orders(ThreadSet finished, std::array<bool, 1u << kMostThreads>& tried) const {
  if (tried[finished]) return;
  tried[finished] = true;
  for (uint32_t t = 0; t < threads; t++)
    if (!(finished & 1u << t) && can_finish(t, finished)) try_orders(finished | 1u << t, tried);
}

ThreadSet WaitWorld::who_can_finish() const {
  std::array<bool, 1u << kMostThreads> reached = {};
  try_orders(0, reached);
  ThreadSet who = 0;
  for (ThreadSet finished = 0; finished < 1u << threads; finished++)
    if (reached[finished]) who |= finished;
  return who;
}

uint32_t WaitWorld::number_of_requests(uint32_t waiter) const {
  uint32_t number = thread[waiter].wants_anyone ? 1 : 0;
  for (uint32_t r = 0; r < resources; r++) number += thread[waiter].wanted[r] > 0;
  for (uint32_t other = 0; other < threads; other++) number += thread[waiter].wants_threads >> other & 1;
  return number;
}

bool WaitWorld::waits_for(Arcs arcs, uint32_t waiter, std::optional<uint32_t> resource, uint32_t holder) const {
  return waits_for(arcs, who_can_finish(), waiter, resource, holder);
}

bool WaitWorld::waits_for(Arcs arcs, ThreadSet finish, uint32_t waiter, std::optional<uint32_t> resource, uint32_t holder) const {
  const Thread& who = thread[waiter];
  if (arcs == Arcs::kOfDeadlocked) {
    if (finish & 1u << waiter || finish & 1u << holder) return false;
  } else {
    if (who.wait == Wait::kNothing) return false;
    if (who.wait == Wait::kAny && number_of_requests(waiter) > 1) return false;
  }
  if (!resource) return who.wants_threads >> holder & 1;
  if (who.wanted[*resource] == 0 || thread[holder].held[*resource] == 0) return false;
  return arcs == Arcs::kOfDeadlocked ? !is_met(waiter, finish, *resource) : who.wanted[*resource] >= units[*resource];
}

bool WaitWorld::leads_to(const Waits& waits, uint32_t from, uint32_t to, ThreadSet path) const {
  for (uint32_t next = 0; next < threads; next++) {
    if (!(waits[from] & 1u << next)) continue;
    if (next == to) return true;
    if (!(path & 1u << next) && leads_to(waits, next, to, path | 1u << next)) return true;
  }
  return false;
}

ThreadSet WaitWorld::on_cycles(Arcs arcs) const {
  Waits waits = {};
  ThreadSet finish = who_can_finish(), on_cycles = 0;
  for (uint32_t waiter = 0; waiter < threads; waiter++) {
    for (uint32_t holder = 0; holder < threads; holder++) {
      bool arc = waits_for(arcs, finish, waiter, std::nullopt, holder);
      for (uint32_t r = 0; r < resources; r++) arc = arc || waits_for(arcs, finish, waiter, r, holder);
      if (arc) waits[waiter] |= 1u << holder;
    }
  }
  for (uint32_t t = 0; t < threads; t++)
    if (leads_to(waits, t, t, 1u << t)) on_cycles |= 1u << t;
  return on_cycles;
}

std::ostream& operator<<(std::ostream& out, const WaitWorld& world) {
  for (uint32_t r = 0; r < world.resources; r++) out << "resource " << r << ": " << world.units[r] << " units\n";
  for (uint32_t t = 0; t < world.threads; t++) {
    const WaitWorld::Thread& thread = world.thread[t];
    out << "thread " << t << " holds";
    for (uint32_t r = 0; r < world.resources; r++)
      if (thread.held[r]) out << " " << thread.held[r] << " of " << r;
    out << (thread.wait == WaitWorld::Wait::kNothing ? "; waits not, not for"
            : thread.wait == WaitWorld::Wait::kAll   ? "; waits for all:"
                                                     : "; waits for any:");
    for (uint32_t r = 0; r < world.resources; r++)
      if (thread.wanted[r]) out << " " << thread.wanted[r] << " of " << r;
    for (uint32_t other = 0; other < world.threads; other++)
      if (thread.wants_threads >> other & 1) out << " thread " << other;
    out << (thread.wants_anyone ? " anyone\n" : "\n");
  }
  return out;
}

BankerWorld BankerWorld::random(uint64_t seed) {
  SmallRandom random(seed);
  BankerWorld world;
  world.processes = random.between(2, kMostThreads);
  world.kinds = random.between(1, kMostResources);
  uint32_t holding = random.between(40, 95), claiming = random.between(30, 100);
  for (uint32_t k = 0; k < world.kinds; k++) {
    uint32_t units = random.between(1, 3) * random.between(1, 2);
    for (uint32_t unit = 0; unit < units; unit++) {
      uint32_t p = random.below(world.processes);
      (random.percent(holding) ? world.process[p].held[k] : world.available[k])++;
    }
    for (uint32_t p = 0; p < world.processes; p++) {
      BankerWorld::Process& process = world.process[p];
      process.claim[k] = random.percent(claiming) ? random.between(process.held[k], units) : process.held[k];
    }
  }
  return world;
}

bool BankerWorld::all_can_finish(ThreadSet finished) const {
  if (finished == (1u << processes) - 1) return true;
  for (uint32_t p = 0; p < processes; p++) {
    if (finished & 1u << p) continue;
    bool has_enough = true;
    for (uint32_t k = 0; k < kinds; k++) {
      uint32_t free = available[k];
      for (uint32_t other = 0; other < processes; other++)
        if (finished & 1u << other) free += process[other].held[k];
      if (process[p].claim[k] > free + process[p].held[k]) has_enough = false;
    }
    if (has_enough && all_can_finish(finished | 1u << p)) return true;
  }
  return false;
}

bool BankerWorld::is_safe() const { return all_can_finish(0); }

std::ostream& operator<<(std::ostream& out, const BankerWorld& world) {
  out << "available";
  for (uint32_t k = 0; k < world.kinds; k++) out << " " << world.available[k];
  for (uint32_t p = 0; p < world.processes; p++) {
    out << "\nprocess " << p << " holds of claim";
    for (uint32_t k = 0; k < world.kinds; k++) out << " " << world.process[p].held[k] << "/" << world.process[p].claim[k];
  }
  return out << "\n";
}

}  // namespace faultline
