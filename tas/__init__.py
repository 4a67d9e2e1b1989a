from common.service.compiled import use_compiled_core

use_compiled_core()
