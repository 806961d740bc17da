#pragma once

namespace keymeld::init {

/// Mounts /dev, /proc and /sys, puts the three standard streams on the console, and makes the root
/// read-only. False: something could not be done, and the console says what.
bool set_up_file_systems();

} // namespace keymeld::init
