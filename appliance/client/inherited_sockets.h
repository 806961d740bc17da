// The sockets of this process's connections, so that a forked child can close its copies without touching the objects around them: those may
// have been in use at the fork.
#pragma once

namespace keymeld::client::inherited_sockets {

/// Remembers an open socket; forgets it before it is closed. Beyond 1024 at once the rest is not remembered. Lock-free. [any-thread]
void opened(int fd) noexcept;
void closing(int fd) noexcept;

/// Closes all that are remembered. To be called in a forked child only, where no other thread runs.
void close_all() noexcept;

} // namespace keymeld::client::inherited_sockets
