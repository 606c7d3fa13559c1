package interop

import (
	"errors"
	"io"
	"net"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// checkReflection is a client that knows nothing of Thanos: it learns services
// and messages from the server, and calls them.
func checkReflection(t *testing.T, address string) {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()

	status, err := grpc_health_v1.NewHealthClient(connection).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil || status.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", status, err)
	}
	old, err := grpc_reflection_v1alpha.NewServerReflectionClient(connection).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list := &grpc_reflection_v1alpha.ServerReflectionRequest_ListServices{}
	if err := old.Send(&grpc_reflection_v1alpha.ServerReflectionRequest{MessageRequest: list}); err != nil {
		t.Fatal(err)
	}
	if answer, err := old.Recv(); err != nil || len(answer.GetListServicesResponse().GetService()) == 0 {
		t.Errorf("reflection v1alpha: %v, %v", answer, err)
	}

	learned := learn(t, connection)
	for _, name := range []string{"thanos.Store", "thanos.info.Info", "grpc.health.v1.Health"} {
		if !slices.Contains(learned.services, name) {
			t.Errorf("%s is not among the services: %v", name, learned.services)
		}
	}
	info := learned.call(t, connection, "thanos.info.Info", "Info", `{}`)
	if len(info) != 1 || text(info[0], "ComponentType") != "store" {
		t.Errorf("Info answers %v", info)
	}
	names := learned.call(t, connection, "thanos.Store", "LabelNames", `{"start":"0","end":"4000000000000"}`)
	if len(names) != 1 || !contains(names[0], "names", "__name__") || !contains(names[0], "names", "cluster") {
		t.Errorf("LabelNames answers %v", names)
	}
	frames := learned.call(t, connection, "thanos.Store", "Series",
		`{"min_time":"0","max_time":"4000000000000","matchers":[{"type":"EQ","name":"__name__","value":"once"}]}`)
	if len(frames) != 1 || !frames[0].Has(field(frames[0], "series")) {
		t.Errorf("Series answers %v", frames)
	}
}

// learned is what a server told of itself.
type learned struct {
	services []string
	files    *protoregistry.Files
}

func learn(t *testing.T, connection *grpc.ClientConn) learned {
	t.Helper()
	stream, err := grpc_reflection_v1.NewServerReflectionClient(connection).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(r *grpc_reflection_v1.ServerReflectionRequest) *grpc_reflection_v1.ServerReflectionResponse {
		if err := stream.Send(r); err != nil {
			t.Fatal(err)
		}
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if e := answer.GetErrorResponse(); e != nil {
			t.Fatalf("reflection: %v: %s", r, e)
		}
		return answer
	}
	set, known := &descriptorpb.FileDescriptorSet{}, map[string]bool{}
	var missing []string
	keep := func(answer *grpc_reflection_v1.ServerReflectionResponse) {
		for _, text := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
			file := &descriptorpb.FileDescriptorProto{}
			if err := proto.Unmarshal(text, file); err != nil {
				t.Fatal(err)
			}
			if !known[file.GetName()] {
				known[file.GetName()] = true
				set.File = append(set.File, file)
				missing = append(missing, file.Dependency...)
			}
		}
	}
	var l learned
	answer := ask(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}})
	for _, service := range answer.GetListServicesResponse().GetService() {
		l.services = append(l.services, service.Name)
		keep(ask(&grpc_reflection_v1.ServerReflectionRequest{
			MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service.Name},
		}))
	}
	for len(missing) > 0 {
		name := missing[0]
		if missing = missing[1:]; !known[name] {
			keep(ask(&grpc_reflection_v1.ServerReflectionRequest{
				MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileByFilename{FileByFilename: name},
			}))
		}
	}
	if l.files, err = protodesc.NewFiles(set); err != nil {
		t.Fatal(err)
	}
	return l
}

// call sends a request that is written as JSON, and gives all answers.
func (l learned) call(t *testing.T, connection *grpc.ClientConn, service, method, request string) []*dynamicpb.Message {
	t.Helper()
	found, err := l.files.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		t.Fatal(err)
	}
	descriptor, ok := found.(protoreflect.ServiceDescriptor)
	if !ok {
		t.Fatalf("%s is no service", service)
	}
	m := descriptor.Methods().ByName(protoreflect.Name(method))
	in := dynamicpb.NewMessage(m.Input())
	if err := protojson.Unmarshal([]byte(request), in); err != nil {
		t.Fatal(err)
	}
	stream, err := connection.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true}, "/"+service+"/"+method)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(in); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	var answers []*dynamicpb.Message
	for {
		out := dynamicpb.NewMessage(m.Output())
		if err := stream.RecvMsg(out); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatalf("%s/%s: %v", service, method, err)
			}
			return answers
		}
		answers = append(answers, out)
	}
}

func field(m *dynamicpb.Message, name protoreflect.Name) protoreflect.FieldDescriptor {
	return m.Descriptor().Fields().ByName(name)
}

func text(m *dynamicpb.Message, name protoreflect.Name) string {
	return m.Get(field(m, name)).String()
}

func contains(m *dynamicpb.Message, name protoreflect.Name, value string) bool {
	list := m.Get(field(m, name)).List()
	for i := range list.Len() {
		if list.Get(i).String() == value {
			return true
		}
	}
	return false
}

func TestTheClientLearnsAndCallsWhatAServerTells(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	answers := learn(t, connection).call(t, connection, "grpc.health.v1.Health", "Check", `{}`)
	if len(answers) != 1 || answers[0].Get(field(answers[0], "status")).Enum() != 1 {
		t.Errorf("Check answers %v", answers)
	}
}
