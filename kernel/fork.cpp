// fork, vfork, clone: a new process, or a new thread of this one.
#include "arch/clock.h"
#include "fs/descriptor_table.h"
#include "fs/namespace.h"
#include "kernel/calls.h"
#include "kernel/clone.h"
#include "kernel/fault_watch.h"
#include "kernel/pid.h"
#include "kernel/process.h"
#include "kernel/run_queue.h"
#include "kernel/scheduler.h"
#include "kernel/signal_internal.h"
#include "kernel/thread_local_storage.h"
#include "mm/reclaim.h"
#include "mm/slab.h"

namespace faultline {

namespace {

// The child's first steps, in its own space.
void user_thread_begin(void*) {
  Thread& self = running_thread();
  // A bad address is the program's own affair, as on Linux.
  if (self.set_child_tid) ignore_result(user_write(UserPtr<uint32_t>(self.set_child_tid), self.id()));
  (void)machine::interrupts_save_and_disable();
  trap_return_to_user(&self.frame());
}

Result<void> check_process_limit(const Process& parent) {
  if (parent.credentials().is_superuser()) return {};
  uint64_t limit = parent.limit(Resource::kProcesses);
  uint32_t count = 0;
  InterruptLockGuard guard(process_table_lock);
  for (Process& process : all_processes())
    if (process.credentials_.uid == parent.credentials().uid) count += process.thread_count_ ? process.thread_count_ : 1;
  return count < limit ? Result<void>() : Errno::kAGAIN;
}

Result<Ref<Process>> copy_process(Process& parent, const CloneArguments& arguments, VirtAddr stack) {
  const uint32_t flags = arguments.flags;
  Ref<Process> child = Ref<Process>::adopt(TRY(slab_new<Process>()));
  child->handlers_ = flags & kCloneSighand ? parent.handlers_ : TRY(parent.handlers_->clone());
  if (arguments.clears_handlers) child->handlers_->reset_caught();
  child->names_ = flags & kCloneFs ? parent.names_ : TRY(parent.names_->copy());
  child->descriptors_ = flags & kCloneFiles ? parent.descriptors_ : TRY(parent.descriptors_->copy());
  child->space_ = flags & kCloneVm ? parent.space_ : TRY(parent.space_->fork(stack));
  child->executable_ = parent.executable_;
  child->layout_ = parent.layout_;
  child->credentials_ = parent.credentials_;
  child->limits_ = parent.limits_;
  memcpy(child->name_, parent.name_, sizeof child->name_);
  child->start_time_ = clock_monotonic();
  child->dumpable_ = parent.dumpable_;
  child->no_new_privileges_ = parent.no_new_privileges_;
  child->personality_ = parent.personality_;
  child->memory_adjustment_.store(parent.memory_adjustment_.load(memory_order_relaxed), memory_order_relaxed);
  child->least_adjustment_.store(parent.least_adjustment_.load(memory_order_relaxed), memory_order_relaxed);
  return child;
}

// With SCHED_RESET_ON_FORK the privileges of policy and nice end here; what others have lent ends in any case.
void inherit_scheduling(const Thread& parent, Thread& child) {
  bool resets = parent.reset_on_fork;
  bool is_real_time = parent.policy == SchedulingPolicy::kFifo || parent.policy == SchedulingPolicy::kRoundRobin;
  SchedulingPolicy policy = resets && is_real_time ? SchedulingPolicy::kOther : parent.policy;
  child.policy = policy;
  child.nice = resets && parent.nice < 0 ? 0 : parent.nice;
  child.time_factor = runtime_factor(policy, child.nice);
  child.priority = child.own_priority = policy == parent.policy ? parent.own_priority : 0;
}

// A thread that continues where the caller is, with 0 in eax.
Result<Thread*> copy_thread(Process& process, const CloneArguments& arguments) {
  Thread& self = running_thread();
  Thread* thread = TRY(Thread::create(&process, &user_thread_begin, nullptr));
  thread->frame() = self.frame();
  thread->frame().eax = 0;
  if (arguments.stack) thread->frame().esp = arguments.stack;
  float_state_save(thread->float_state);
  thread->tls = self.tls;
  thread->space = process.space_.get();
  thread->signal_mask = self.signal_mask;
  inherit_scheduling(self, *thread);
  thread->allowed_cpus = self.allowed_cpus;
  memcpy(thread->name, self.name, sizeof thread->name);
  // A thread in the same memory must not run handlers on the same alternate stack; vfork's parent sleeps meanwhile.
  if (!(arguments.flags & kCloneVm) || (arguments.flags & kCloneVfork)) thread->alternate_stack = self.alternate_stack;
  if (arguments.flags & kCloneChildSetTid) thread->set_child_tid = arguments.child_tid.address().value();
  if (arguments.flags & kCloneChildClearTid) thread->clear_child_tid = arguments.child_tid.address().value();
  if (arguments.flags & kCloneSetTls) {
    Result<void> set = tls_set(*thread, arguments.tls);
    if (!set.ok()) {
      Thread::destroy(thread);
      return set.error();
    }
  }
  return thread;
}

// Gives the child its number and its place in the tree. Afterwards it can be found, signalled and, once started, waited for.
Result<void> enter_tree(Process& child, Thread& thread, Process& creator, const CloneArguments& arguments) {
  InterruptLockGuard guard(process_table_lock);
  uint32_t pid = TRY(pid_allocate_locked(child));
  child.pid_ = pid;
  thread.set_id(pid, pid_identity_locked(pid));
  bool is_sibling = arguments.flags & kCloneParent;
  child.exit_signal_ = is_sibling ? creator.exit_signal_ : arguments.exit_signal;
  Process* parent = is_sibling ? creator.parent_ : &creator;
  child.parent_ = parent;
  child.parent_pid_.store(parent ? parent->pid_ : 0, memory_order_relaxed);
  if (parent) parent->children_.push_back(child);
  child.group_ = creator.group_;
  child.session_ = creator.session_;
  pid_acquire_locked(child.group_);
  pid_acquire_locked(child.session_);
  child.threads_.push_back(thread);
  fault_watch_inherit_locked(running_thread(), thread);
  ended_usage.threads_made++;
  child.thread_count_ = 1;
  child.main_thread_ = &thread;
  if (arguments.flags & kCloneVfork) child.vfork_waiter_ = &running_thread();
  all_processes().push_back(child);
  child.acquire();  // the tree's reference; reaping gives it back
  return {};
}

void wait_for_vfork(Process& child) {
  for (;;) {
    {
      InterruptLockGuard guard(process_table_lock);
      if (child.vfork_waiter_ != &running_thread()) return;
      if (fatal_signal_is_pending()) {
        child.vfork_waiter_ = nullptr;
        return;
      }
    }
    ignore_result(block(SleepKind::kKillable));  // looked at above
  }
}

Result<uint32_t> clone_process(const CloneArguments& arguments) {
  Process& parent = current_process();
  TRY(check_process_limit(parent));
  VirtAddr stack(arguments.stack ? arguments.stack : running_thread().frame().esp);
  Ref<Process> child = TRY(copy_process(parent, arguments, stack));
  Thread* thread = TRY(copy_thread(*child, arguments));
  Result<void> entered = enter_tree(*child, *thread, parent, arguments);
  if (!entered.ok()) {
    Thread::destroy(thread);
    return entered.error();
  }
  uint32_t pid = child->pid_;
  if (arguments.flags & kCloneParentSetTid) ignore_result(user_write(arguments.parent_tid, pid));  // as Linux: too late to fail
  scheduler_start(*thread);
  if (arguments.flags & kCloneVfork) wait_for_vfork(*child);
  return pid;
}

Result<uint32_t> clone_thread(const CloneArguments& arguments) {
  Process& process = current_process();
  TRY(check_process_limit(process));
  Thread* thread = TRY(copy_thread(process, arguments));
  uint32_t id;
  {
    InterruptLockGuard guard(process_table_lock);
    // Who ends or stops the others has told the threads of that moment: a later one is not made, or must look for itself.
    bool is_ending = process.ending_ || process.survivor_;
    Result<uint32_t> number = is_ending ? Result<uint32_t>(Errno::kAGAIN) : pid_allocate_locked(process);
    if (!number.ok()) {
      Thread::destroy(thread);
      return number.error();
    }
    id = number.value();
    thread->set_id(id, pid_identity_locked(id));
    process.threads_.push_back(*thread);
    fault_watch_inherit_locked(running_thread(), *thread);
    ended_usage.threads_made++;
    process.thread_count_++;
    if (process.stopping_) thread->add_work(kWorkSignal);
  }
  thread->descriptors = process.descriptors_;
  if (arguments.flags & kCloneParentSetTid) ignore_result(user_write(arguments.parent_tid, id));  // as above
  scheduler_start(*thread);
  return id;
}

}  // namespace

Result<uint32_t> clone(const CloneArguments& arguments) {
  uint32_t flags = arguments.flags;
  if (flags & ~kCloneKnown) return Errno::kINVAL;
  if ((flags & kCloneSighand) && !(flags & kCloneVm)) return Errno::kINVAL;
  if ((flags & kCloneThread) && !(flags & kCloneSighand)) return Errno::kINVAL;
  // Process 1 has no siblings: nobody would wait for them.
  if ((flags & kCloneParent) && current_process().pid() == 1) return Errno::kINVAL;
  for (uint32_t attempt = 0;; attempt++) {
    Result<uint32_t> result = flags & kCloneThread ? clone_thread(arguments) : clone_process(arguments);
    constexpr uint32_t kPatience = 3;
    if (result.ok() || result.error() != Errno::kNOMEM || attempt == kPatience || !reclaim_with_write_back()) return result;
  }
}

Result<uint32_t> sys_fork() {
  CloneArguments arguments;
  arguments.exit_signal = Signal::kChild;
  return clone(arguments);
}

Result<uint32_t> sys_vfork() {
  CloneArguments arguments;
  arguments.flags = kCloneVm | kCloneVfork;
  arguments.exit_signal = Signal::kChild;
  return clone(arguments);
}

Result<uint32_t> sys_clone(uint32_t flags, uint32_t stack, UserPtr<uint32_t> parent_tid, UserPtr<UserTlsDescriptor> tls,
                           UserPtr<uint32_t> child_tid) {
  CloneArguments arguments;
  arguments.flags = flags & ~kCloneSignal;
  // A number that is no signal's is taken, as by Linux, and never sent.
  uint32_t signal = flags & kCloneSignal;
  arguments.exit_signal = signal <= static_cast<uint32_t>(Signal::kLast) ? static_cast<Signal>(signal) : Signal::kNone;
  arguments.stack = stack;
  arguments.parent_tid = parent_tid;
  arguments.tls = tls;
  arguments.child_tid = child_tid;
  return clone(arguments);
}

}  // namespace faultline
