using DeepSeekOps.Contracts.Worker.V1;

namespace DeepSeekOps.Worker.Agent;

/// <summary>
/// The agent's side of a stage's <see cref="StepJournal"/>: what an agent that died had not told is told by the next one, and what the
/// control plane has acknowledged is deleted. Nothing here fails: a journal that cannot be read costs points of a curve, never a launch.
/// </summary>
public sealed class UntoldSteps
{
    /// <summary>As many as the buffer that they go into keeps.</summary>
    private const int SamplesMax = StepJournal.SamplesPerSegment * StepJournal.SegmentsMax;

    private const long SegmentBytesMax = 16 << 20;

    private readonly string _folder;
    private readonly string _registration;
    private readonly List<string> _left;
    private bool _recalled;
    private (int Attempt, long Step)? _lastRetold;

    private UntoldSteps(string folder, string registration) =>
        (_folder, _registration, _left) = (folder, registration, [.. StepJournal.Segment.In(folder).Select(s => s.Path)]);

    /// <summary>Of an agent that begins: whatever lies there is of others before it. Null: the assignment names no place.</summary>
    public static UntoldSteps? Open(Assignment assignment) => assignment.Plan?.CheckpointRoot is not { Length: > 0 } ? null
        : Quietly(() => new UntoldSteps(StepJournal.FolderOf(assignment), StepJournal.RegistrationOf(assignment)), null);

    /// <summary>
    /// The steps that led to the checkpoint a launch goes on from, in the order of the ledger: attempt, then step. Of a step that was
    /// trained twice the newer attempt's counts; later ones are trained again.
    /// </summary>
    public async Task<IReadOnlyList<StepSample>> Recall(long upToStep, int attempt)
    {
        var steps = new SortedDictionary<long, StepSample>();
        foreach (var segment in Quietly(() => StepJournal.Segment.In(_folder), [])
            .Where(s => s.Registration == _registration && _left.Contains(s.Path)))
        {
            foreach (var sample in await Read(segment.Path))
            {
                if (sample.Step > 0 && sample.Step <= upToStep && sample.Attempt == segment.Attempt && sample.Attempt <= attempt)
                {
                    steps[sample.Step] = sample;
                }
            }
        }

        StepSample[] told = [.. steps.Values.Skip(Math.Max(0, steps.Count - SamplesMax)).OrderBy(s => s.Attempt).ThenBy(s => s.Step)];
        (_recalled, _lastRetold) = (true, told is [.., var last] ? (last.Attempt, last.Step) : null);
        return told;
    }

    /// <summary>Deletes what was acknowledged.</summary>
    /// <param name="toldBefore">Every sample before this one was heard and acknowledged. Null: none was heard.</param>
    public void Acknowledged((int Attempt, long Step)? toldBefore) => Quietly(() =>
    {
        if (!_recalled || (_lastRetold is { } last && (toldBefore is not { } told || told.CompareTo(last) <= 0)))
        {
            return false;
        }

        _left.ForEach(File.Delete);
        _left.Clear();
        var segments = StepJournal.Segment.In(_folder);
        // The newest is being written; one before it holds nothing new once the next begins with what was told or waits to be.
        for (int i = 0; i + 1 < segments.Count; i++)
        {
            if (toldBefore is { } before && (segments[i + 1].Attempt, segments[i + 1].FirstStep).CompareTo(before) <= 0)
            {
                File.Delete(segments[i].Path);
            }
        }

        return true;
    }, false);

    /// <summary>Everything up to this attempt is told, and nothing more of it comes.</summary>
    public void Clear(int attempt) => Quietly(() =>
    {
        foreach (var segment in StepJournal.Segment.In(_folder).Where(s => s.Attempt <= attempt))
        {
            File.Delete(segment.Path);
        }

        if (Directory.Exists(_folder) && !Directory.EnumerateFileSystemEntries(_folder).Any())
        {
            Directory.Delete(_folder);
        }

        return true;
    }, false);

    /// <summary>Up to the first thing that is no sample: a rank that is killed may leave half of one.</summary>
    internal static async Task<IReadOnlyList<StepSample>> Read(string path)
    {
        var samples = new List<StepSample>();
        try
        {
            if (new FileInfo(path) is not { Exists: true, LinkTarget: null, Length: <= SegmentBytesMax })
            {
                return samples;
            }

            await using var file = File.OpenRead(path);
            while (await RankFrames.Read(file, StepSample.Parser, CancellationToken.None) is { } sample)
            {
                var report = new RankReport { Sample = sample };
                ReportLimits.Fit(report);
                samples.Add(report.Sample);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // What stands before it counts.
        }

        return samples;
    }

    private static T Quietly<T>(Func<T> act, T otherwise)
    {
        try
        {
            return act();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return otherwise;
        }
    }
}
