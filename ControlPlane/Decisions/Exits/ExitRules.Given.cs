namespace DeepSeekOps.Decisions.Exits;

/// <summary>What files, libraries, data, checkpoints and recipes say, and exceptions that say nothing closer.</summary>
public static partial class ExitRules
{
    private static ExitRule[] Checkpoints =>
    [
        new("checkpoint-mismatch", Weight.Cause, "Error(s) in loading state_dict", "size mismatch for", "Missing key(s) in state_dict",
            "Unexpected key(s) in state_dict", "of another shape than this model's", "is a checkpoint of another model",
            "loaded state dict * doesn't match", "loaded state dict contains a parameter group",
            "checkpoint * was saved with a different", "but the checkpoint has", "The stage cannot begin from"),
        new(ExitClasses.CheckpointDamaged, Weight.Cause, "RefusedCheckpointException", "NoUsableCheckpointException",
            "no checkpoint can be used", "PytorchStreamReader failed", "failed finding central directory",
            "invalid header or archive is corrupted", "InvalidHeaderDeserialization", "HeaderTooLarge", "MetadataIncompleteBuffer",
            "Error while deserializing header", "its manifest says", "was registered", "checkpoint * corrupt", "corrupt* checkpoint",
            "checkpoint * damaged", "checkpoint * truncated", "UnpicklingError", "pickle data was truncated", "Ran out of input",
            "invalid load key", "ends in the middle of tensor", "CheckpointException", "storage has wrong byte size",
            "unexpected EOF, expected # more bytes", "The file might be corrupted", "checksum mismatch", "Checksum * does not match",
            "not a ZIP archive"),
        new(ExitClasses.NotFinite, Weight.Cause, "became NaN", "became infinite", "loss is NaN", "loss is nan", "loss: nan", "loss nan",
            "loss=nan", "loss = nan", "grad_norm nan", "grad_norm: nan", "grad_norm=nan", "grad norm: nan", "found NaN in",
            "NaN or Inf found", "nan detected", "NaN detected", "Inf detected", "non-finite loss", "non-finite grad",
            "The total norm of order * is non-finite", "Loss is nan, stopping", "not finite", "Rerun * NaN", "found Inf or NaN",
            "infinite loss", "loss scale already at minimum"),
    ];

    private static ExitRule[] Files =>
    [
        new("quota-exceeded", Weight.Cause, "Disk quota exceeded", "EDQUOT", "quota exceeded", "exceeded quota", "over quota",
            "QuotaExceeded", "errno: 122", "[Errno 122]", "os error 122"),
        new("disk-full", Weight.Cause, "No space left on device", "ENOSPC", "not enough space on the disk",
            "There is not enough space on the disk", "disk is full", "disk full", "database or disk is full",
            "low on resource: ephemeral-storage", "errno: 28", "file system is full", "filesystem is full",
            "exceeds the limit * ephemeral", "Usage of EmptyDir volume * exceeds", "[Errno 28]", "os error 28",
            "kein Speicherplatz mehr verfügbar", "Aucun espace disponible", "No queda espacio", "デバイスに空き領域がありません", "设备上没有空间",
            "На устройстве не осталось свободного места"),
        new("read-only", Weight.Cause, "Read-only file system", "EROFS", "read only file system", "Remounting filesystem read-only",
            "errno: 30", "[Errno 30]", "os error 30", "Das Dateisystem ist nur lesbar",
            "Système de fichiers accessible en lecture seulement"),
        new("disk-error", Weight.Cause, "Input/output error", "EIO", "I/O error, dev", "blk_update_request", "Buffer I/O error",
            "EXT4-fs error", "XFS * metadata I/O error", "critical medium error", "nvme * controller is down",
            "Structure needs cleaning", "errno: 5,", "Unrecovered read error", "[Errno 5]", "os error 5"),
        new("storage-lost", Weight.Cause, "Stale file handle", "Stale NFS file handle", "ESTALE", "Transport endpoint is not connected",
            "Transport endpoint is shutdown", "server * not responding", "FailedMount", "MountVolume.SetUp failed", "mount * timed out",
            "Cannot send after transport endpoint shutdown", "LustreError", "errno: 116", "[Errno 116]", "[Errno 108]", "[Errno 107]",
            "Unable to attach or mount volumes"),
        new("no-permission", Weight.Cause, "Permission denied", "EACCES", "EPERM", "Operation not permitted",
            "UnauthorizedAccessException", "Access to the path * is denied", "PermissionError", "403 Forbidden", "401 Unauthorized",
            "401 Client Error", "403 Client Error", "AccessDenied", "Access denied", "GatedRepoError", "You are not authorized",
            "is forbidden:", "Authentication failed", "Invalid username or password", "publickey",
            "[Errno 13]", "[Errno 1]", "os error 13", "Keine Berechtigung", "Permission non accordée", "Permiso denegado", "許可がありません",
            "权限不够", "Отказано в доступе"),
    ];

    private static ExitRule[] Libraries =>
    [
        new("missing-library", Weight.Cause, "TorchSharp but doesn't contain a reference to libtorch",
            "error while loading shared libraries", "cannot open shared object file",
            "DllNotFoundException", "Unable to load shared library", "ModuleNotFoundError", "No module named", "ImportError",
            "undefined symbol", "symbol lookup error", "GLIBC_* not found", "GLIBCXX_* not found", "CXXABI_* not found",
            "EntryPointNotFoundException", "Could not load file or assembly", "BadImageFormatException",
            "You must install or update .NET", "wrong ELF class", "Library not loaded", "TypeLoadException", "MissingMethodException",
            "cannot find -l", "libtorch_cpu.so", "Could not load library lib", "Could not load dynamic library", "version `* not found",
            "FileNotFoundException: Could not load", "Numpy is not available"),
        new("image-not-found", Weight.Cause, "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "manifest unknown",
            "Failed to pull image", "manifest for * not found", "pull access denied", "ErrImageNeverPull"),
        new("program-not-found", Weight.Cause, "specified command or file was not found",
            "command not found", "Exec format error", "executable file not found",
            "exec: * not found", "No such file or directory: 'python", "can't open file '*.py'", "cannot execute binary file",
            "cannot execute: required file not found", "execve(): *", "bad interpreter", "The application to execute does not exist",
            "cannot execute", "RunContainerError", "StartError", "env: * No such file or directory", "nohup: failed to run command",
            "not found in PATH", "failed to run command", "The command could not be loaded", "did not start"),
        new("file-missing", Weight.Cause, "No such file or directory", "FileNotFoundError", "FileNotFoundException",
            "DirectoryNotFoundException", "ENOENT", "Could not find file", "Could not find a part of the path", "does not exist",
            "path does not exist", "configmap * not found", "secret * not found", "Repository Not Found", "EntryNotFoundError",
            "404 Client Error", "is not there", "cannot be found", "NoSuchKey", "there is no file", "[Errno 2]", "os error 2",
            "Datei oder Verzeichnis nicht gefunden", "Aucun fichier ou dossier de ce", "No existe el fichero o el directorio",
            "そのようなファイルやディレクトリはありません", "没有那个文件或目录", "Нет такого файла или каталога"),
    ];

    private static ExitRule[] Input =>
    [
        new("recipe-error", Weight.Cause, "Usage: dsops", "cannot be laid out as", "is taken (Parameter 'shape')",
            "it must be *(Parameter 'shape')",
            "unrecognized arguments", "the following arguments are required", "invalid choice:",
            "error: argument", "unrecognized option", "unknown option", "invalid option", "Unrecognized command or argument",
            "ConfigAttributeError", "ConfigKeyError", "MissingMandatoryValue", "OverrideParseException", "ValidationError",
            "validation error for", "must be divisible by", "is not divisible by", "not divisible", "yaml.scanner.ScannerError",
            "yaml.parser.ParserError", "ScannerError", "ParserError", "TOMLDecodeError", "cannot be dealt",
            "Use linear, constant or cosine", "There is no learning rate shape", "There is no verifier", "There is no data source",
            "The plan names no work for this stage", "The launch is for", "Use cpu, cuda, cuda:N or auto",
            "world size * does not match", "world_size * is not", "expected * GPUs but", "Invalid value for", "Missing option",
            "unknown key", "unknown field", "is not a valid value", "Missing argument", "roster of", "A rank is started by its agent",
            "Unable to create step: More processors requested", "Requested node configuration is not available", "Invalid partition",
            "Invalid account", "Invalid qos", "argument *: invalid", "hydra.errors", "No such option"),
        new(ExitClasses.BadData, Weight.Cause, "UnicodeDecodeError", "JSONDecodeError", "JsonException", "DecoderFallbackException",
            "Unable to translate bytes", "invalid start byte", "invalid continuation byte", "is no JSON", "is not JSON",
            "Expecting value: line", "Extra data: line", "ArrowInvalid", "Parquet magic bytes not found", "CheckpointFormatException",
            "InvalidDataException", "BadInputException", "EndOfStreamException", "unknown token", "token id * out of",
            "outside the vocabulary", "is not UTF-8", "became shorter while it was read", "no usable example", "has no text",
            "dataset is empty", "empty dataset", "num_samples should be a positive integer", "CSV parse error", "Error tokenizing data",
            "not a gzip file", "BadGzipFile", "incorrect header check", "zlib.error", "CRC check failed", "ArrowCapacityError",
            "DatasetGenerationError", "ParquetException", "tokenizer * cannot"),
        new("program-error", Weight.Cause, "mat1 and mat2 shapes cannot be multiplied", "must match the size of tensor",
            "shapes cannot be multiplied", "Sizes of tensors must match", "Expected all tensors to be on the same device",
            "expected scalar type", "does not require grad", "Trying to backward through the graph a second time",
            "has been modified by an inplace operation", "is invalid for input of size", "element 0 of tensors does not require",
            "triton*OutOfResources"),
    ];

    private static ExitRule[] Exceptions =>
    [
        new("program-error", Weight.Exception, "SyntaxError:", "IndentationError:", "NameError:", "AttributeError:", "TypeError:",
            "AssertionError", "NotImplementedError", "ZeroDivisionError", "ValueError:", "KeyError:", "IndexError:",
            "UnboundLocalError", "RecursionError", "System.NotImplemented*", "NotSupportedException", "Stack overflow",
            "StackOverflowException", "InvalidCastException", "FormatException", "DivideByZeroException", "panicked at"),
        new("exception", Weight.Exception, "Unhandled exception", "Process terminated.", "*Error:", "*Exception:",
            "terminate called after throwing", "terminate called without", "Fatal Python error", "Uncaught exception",
            "System.*Exception", "c10::Error", "std::*error", "fatal error", "FATAL:", "FATAL ERROR", "panic:"),
    ];
}
