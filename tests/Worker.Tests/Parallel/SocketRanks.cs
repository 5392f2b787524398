using System.Net;
using DeepSeekOps.Worker.Libtorch;
using DeepSeekOps.Worker.Parallel;
using DeepSeekOps.Worker.Parallel.Sockets;

namespace DeepSeekOps.Worker.Tests.Parallel;

/// <summary>Ranks of a gang as threads of the test that talk over loopback sockets, as processes would.</summary>
internal static class SocketRanks
{
    public static T[] Run<T>(GangLayout layout, Func<int, Mesh, T> work, TimeSpan? limit = null)
    {
        var doors = Enumerable.Range(0, layout.Ranks).Select(_ => new PeerDoor(IPAddress.Loopback)).ToList();
        var roster = RosterOf(doors);
        var results = new T[layout.Ranks];
        var failures = new List<Exception>();
        var meshes = doors.Select((door, rank) => new SocketMesh(layout, rank, roster, door, limit)).ToList();
        var threads = meshes.Select((mesh, rank) => new Thread(() =>
        {
            try
            {
                // As ranks of one machine share its cores; libtorch keeps this per thread.
                LibtorchLoading.SetThreads(1);
                results[rank] = work(rank, mesh.Mesh);
            }
            catch (Exception e)
            {
                lock (failures)
                {
                    failures.Add(e);
                }
                meshes.ForEach(m => m.Mesh.Calls.Abort($"rank {rank} failed"));
            }
        })).ToList();
        threads.ForEach(t => t.Start());
        threads.ForEach(t => t.Join());
        meshes.ForEach(m => m.Dispose());
        doors.ForEach(d => d.Dispose());
        return failures.Count == 0 ? results : throw new AggregateException(failures);
    }

    public static Roster RosterOf(IEnumerable<PeerDoor> doors, long term = 1) =>
        Roster.Of("test/0", term, "secret", doors.Select((door, rank) => new GangMember(rank, "127.0.0.1", door.Port)));
}
