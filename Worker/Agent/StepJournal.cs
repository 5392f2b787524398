using System.Globalization;
using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// What a rank keeps of its steps beside the stage's checkpoints, for the case that its agent dies before it has told them: the next
/// agent of the stage tells them (UntoldSteps). Each sample is one write, without a sync: it is in the kernel's hands
/// before a checkpoint of its step can be, and outlives every process. What a power cut takes away, it may take from here.
/// </summary>
/// <param name="folder">Of all journals of the stage.</param>
/// <param name="registration">Of the run; attempts of another registration have the same numbers.</param>
public sealed class StepJournal(string folder, string registration, int attempt) : IDisposable
{
    /// <summary>A few seconds to an hour of steps; an acknowledgement deletes whole segments.</summary>
    public const int SamplesPerSegment = 512;

    /// <summary>As many samples as an agent keeps in memory (ReportBuffer), about 10 MB; beyond them the oldest go.</summary>
    public const int SegmentsMax = 80;

    /// <summary>A disk that is full stays so for a while, and a new file per step would not help it.</summary>
    private const int StepsBetweenTries = 64;

    private FileStream? _segment;
    private int _written;
    private int _passOver;

    public static StepJournal Of(Assignment assignment) =>
        new(FolderOf(assignment), RegistrationOf(assignment), assignment.Attempt.Attempt);

    public static string FolderOf(Assignment assignment) =>
        Path.Combine(assignment.Plan.CheckpointRoot, assignment.Attempt.Run, assignment.Attempt.Stage, "untold");

    public static string RegistrationOf(Assignment assignment) => assignment.Registrations.FirstOrDefault() ?? "";

    /// <summary>Never throws: training goes on without it.</summary>
    public void Add(StepSample sample)
    {
        if (_passOver > 0)
        {
            _passOver--;
            return;
        }

        try
        {
            _segment ??= Begin(sample.Step);
            var kept = sample.Clone();
            kept.Attempt = attempt;
            RankFrames.Write(_segment, kept);
            if (++_written == SamplesPerSegment)
            {
                Close();
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Close();
            _passOver = StepsBetweenTries;
        }
    }

    public void Dispose() => Close();

    private FileStream Begin(long step)
    {
        Directory.CreateDirectory(folder);
        var segments = Segment.In(folder);
        foreach (var oldest in segments.Take(segments.Count - SegmentsMax + 1))
        {
            File.Delete(oldest.Path);
        }

        // Unbuffered: a sample that waits in this process dies with it.
        string path = Path.Combine(folder, Segment.NameOf(registration, attempt, step));
        return new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0);
    }

    private void Close()
    {
        _segment?.Dispose();
        (_segment, _written) = (null, 0);
    }

    /// <summary>One file of the journal, known by its name: attempt, first step, process and registration.</summary>
    internal sealed record Segment(string Path, int Attempt, long FirstStep, string Registration)
    {
        /// <summary>Oldest first. What is not named as ours is left alone.</summary>
        public static IReadOnlyList<Segment> In(string folder) => !Directory.Exists(folder) ? []
            :
            [
                .. Directory.EnumerateFiles(folder).Select(Of).OfType<Segment>()
                    .OrderBy(s => s.Attempt).ThenBy(s => s.FirstStep).ThenBy(s => s.Path, StringComparer.Ordinal),
            ];

        public static string NameOf(string registration, int attempt, long step) => string.Create(
            CultureInfo.InvariantCulture,
            $"attempt-{attempt:D8}.step-{step:D12}.pid-{Environment.ProcessId}.{Uri.EscapeDataString(registration)}");

        private static Segment? Of(string path)
        {
            string[] parts = System.IO.Path.GetFileName(path).Split('.', 4);
            return parts.Length == 4 && parts[2].StartsWith("pid-", StringComparison.Ordinal)
                && Number(parts[0], "attempt-") is { } attempt and <= int.MaxValue && Number(parts[1], "step-") is { } step
                    ? new Segment(path, (int)attempt, step, Uri.UnescapeDataString(parts[3])) : null;
        }

        private static long? Number(string part, string prefix) => part.StartsWith(prefix, StringComparison.Ordinal)
            && long.TryParse(part.AsSpan(prefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? number : null;
    }
}
