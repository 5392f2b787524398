namespace DeepSeekOps.Dashboard.Shell;

public enum NoticeKind
{
    Error,
    Empty,
    NotFound,
}
